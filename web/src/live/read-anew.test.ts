import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, describe, expect, it } from "vitest";
import { outrun, readAnew } from "./read-anew";

/** A question whose answers the test gives, in the order in which they were asked for. */
function asked(queries: QueryClient) {
  const waiting: ((answer: string) => void)[] = [];
  const observer = new QueryObserver(queries, {
    queryKey: ["alerts", "list"],
    queryFn: () => new Promise<string>((answer) => waiting.push(answer)),
  });
  const stop = observer.subscribe(() => undefined);
  return { waiting, stop, shown: () => observer.getCurrentResult().data };
}

const settled = () => new Promise((done) => setTimeout(done, 5));

describe("readAnew", () => {
  const queries = new QueryClient();
  afterEach(() => queries.clear());

  it("reads once more what was being read for the first time, however often it is told", async () => {
    const { waiting, stop, shown } = asked(queries);
    void readAnew(queries, ["alerts"]);
    void readAnew(queries, ["alerts"]);
    await settled();
    expect(waiting).toHaveLength(1);
    waiting[0]?.("before");
    await settled();
    expect(waiting).toHaveLength(2);
    expect(shown()).toBe("before");
    waiting[1]?.("after");
    await settled();
    expect(shown()).toBe("after");
    stop();
  });

  it("keeps an answer that is on its way from what was told meanwhile, and else asks nothing", async () => {
    const { waiting, stop, shown } = asked(queries);
    waiting[0]?.("queued");
    await settled();
    outrun(queries, ["alerts"]);
    await settled();
    expect(waiting).toHaveLength(1);
    void readAnew(queries, ["alerts"]);
    await settled();
    queries.setQueryData(["alerts", "list"], "done");
    outrun(queries, ["alerts"]);
    waiting[1]?.("queued");
    await settled();
    expect(shown()).toBe("done");
    waiting[2]?.("done");
    await settled();
    expect(shown()).toBe("done");
    stop();
  });

  it("puts no older answer over a newer one", async () => {
    const { waiting, stop, shown } = asked(queries);
    waiting[0]?.("first");
    await settled();
    void readAnew(queries, ["alerts"]);
    void readAnew(queries, ["alerts"]);
    await settled();
    expect(waiting).toHaveLength(3);
    waiting[2]?.("third");
    await settled();
    waiting[1]?.("second");
    await settled();
    expect(shown()).toBe("third");
    stop();
  });
});
