// Home: of the site that is looked at, or of all.

import { useQueryClient } from "@tanstack/react-query";
import { sitesQuery, useSite } from "~/api/place";
import { Failure, Loading } from "~/ui/states";
import { AllSites } from "./all-sites";
import { SiteView } from "./site-view";

export function Home() {
  const { site, sites, isPending, error } = useSite();
  const queries = useQueryClient();
  if (error && !sites.length) return <Failure error={error} onRetry={() => void queries.refetchQueries({ queryKey: sitesQuery.queryKey })} />;
  if (isPending) return <Loading height={480} />;
  return site ? <SiteView key={site.id} site={site} /> : <AllSites sites={sites} />;
}
