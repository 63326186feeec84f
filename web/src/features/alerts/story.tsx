// The timeline of an alert, and a field to write something beside it.

import { Button, Group, Stack, Text, Textarea, Timeline } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { useNames } from "~/api/people";
import { may, sessionQuery } from "~/api/session";
import { useZone } from "~/api/zone";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { tellFailure } from "~/ui/tell";
import { alertQuery, comment, type AlertInFull } from "./queries";
import { momentsOf } from "./timeline";

export function Story({ alert }: { alert: AlertInFull }) {
  const { t, locale } = useWords("alerts");
  const { data: session } = useQuery(sessionQuery);
  const nameOf = useNames();
  const zone = useZone()(alert.site_id);
  const moments = momentsOf(alert);
  return (
    <Stack>
      <Timeline bulletSize={14} lineWidth={2} active={moments.length} color="var(--kw-accent)">
        {moments.map((one) => (
          <Timeline.Item key={`${one.at} ${one.word}`} title={t(`moment.${one.word}`)}>
            {one.text && <Text size="sm" style={{ whiteSpace: "pre-wrap" }}>{one.text}</Text>}
            <Text size="xs" c="dimmed" className="kw-number">
              {showTime(Date.parse(one.at), zone, locale, true)}
              {one.who && ` · ${nameOf(one.who)}`}
            </Text>
          </Timeline.Item>
        ))}
      </Timeline>
      {alert.status === "suppressed" && <Hiding alert={alert} />}
      {may(session, "alerts:change") && <CommentForm id={alert.id} />}
    </Stack>
  );
}

function Hiding({ alert }: { alert: AlertInFull }) {
  const { t, locale } = useWords("alerts");
  const zone = useZone()(alert.site_id);
  const [by = ""] = alert.suppressed_by?.split(":") ?? [];
  const word = by === "window" || by === "parent" ? by : "person";
  return (
    <Text size="sm">
      {t(`hidden.${word}`)}
      {alert.suppressed_until && ` ${t("hidden.until", { time: showTime(Date.parse(alert.suppressed_until), zone, locale) })}`}
    </Text>
  );
}

function CommentForm({ id }: { id: string }) {
  const { t } = useWords("alerts");
  const queries = useQueryClient();
  const [text, setText] = useState("");
  const writing = useMutation({
    mutationFn: () => comment(id, text.trim()),
    onSuccess: () => {
      setText("");
      return queries.invalidateQueries({ queryKey: alertQuery(id).queryKey });
    },
    onError: tellFailure,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    writing.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Textarea label={t("comment.label")} autosize minRows={2} maxRows={8} maxLength={2000} value={text} onChange={(event) => setText(event.currentTarget.value)} />
      <Group mt="xs">
        <Button type="submit" size="xs" variant="default" loading={writing.isPending} disabled={!text.trim()}>{t("comment.do")}</Button>
      </Group>
    </form>
  );
}
