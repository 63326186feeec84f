import { expect, it } from "vitest";
import { changesOf, isId, metadataOf, NEW, wantedDevice } from "./form";

it("takes empty fields for nothing, and zero for zero", () => {
  const changes = changesOf({ ...NEW, id: "a", room: " ", rated_power_w: "", idle_threshold_w: 0 }, {});
  expect(changes).toMatchObject({ name: "a", room: null, rated_power_w: null, idle_threshold_w: 0 });
  expect("site_id" in changes).toBe(false);
  expect(wantedDevice({ ...NEW, id: " a ", site_id: "s" }, {})).toMatchObject({ id: "a", site_id: "s" });
});

it("reads objects only as metadata", () => {
  expect(metadataOf('{"gateway": "g"}')).toEqual({ gateway: "g" });
  expect(metadataOf(" ")).toEqual({});
  for (const text of ["[1]", "null", "3", "{"]) expect(metadataOf(text)).toBeNull();
});

it("knows what an id may be", () => {
  expect(["a", "meter-00042", "D_1"].map(isId)).toEqual([true, true, true]);
  expect(["", "-a", "a b", "a".repeat(65)].map(isId)).toEqual([false, false, false, false]);
});
