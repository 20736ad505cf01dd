// Calendars: the browser's time zone, choices that apply at once, and a form that shows what it needs.
const note = document.querySelector("[data-zone-open]");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (note && zone && note.dataset.zone !== zone) {
  document.cookie = `time_zone=${zone}; path=/; max-age=31536000; secure; samesite=lax`;
  // Without cookies it would come round and round.
  if (document.cookie.includes(`time_zone=${zone}`)) location.reload();
}

for (const form of document.querySelectorAll(".shown-calendars")) {
  form.querySelector("button").hidden = true;
  form.addEventListener("change", () => form.requestSubmit());
}

const small = matchMedia("(max-width: 60rem)");
for (const fold of document.querySelectorAll(".folds")) fold.open = !small.matches;

const form = document.querySelector("form[data-event]");
if (form) {
  const field = (name) => form.elements.namedItem(name);
  const show = () => {
    const isWhole = field("all_day").checked;
    for (const each of form.querySelectorAll("[data-timed]")) each.hidden = isWhole;
    const repeat = field("repeat")?.value ?? "";
    const ends = field("ends")?.value ?? "";
    for (const each of form.querySelectorAll("[data-repeats]")) each.hidden = repeat === "" || repeat === "kept";
    for (const each of form.querySelectorAll("[data-weekly]")) each.hidden = repeat !== "WEEKLY";
    for (const each of form.querySelectorAll("[data-ends]")) each.hidden = each.dataset.ends !== ends;
  };
  const moment = (which) => Date.parse(`${field(`${which}_on`).value}T${field(`${which}_at`).value || "00:00"}Z`);
  let length = moment("end") - moment("start");
  const follow = () => {
    const start = moment("start");
    if (Number.isNaN(start) || Number.isNaN(length)) return;
    const end = new Date(start + Math.max(0, length)).toISOString();
    field("end_on").value = end.slice(0, 10);
    field("end_at").value = end.slice(11, 16);
  };
  for (const name of ["start_on", "start_at"]) field(name).addEventListener("change", follow);
  for (const name of ["end_on", "end_at"]) {
    field(name).addEventListener("change", () => {
      length = moment("end") - moment("start");
    });
  }
  form.addEventListener("change", show);
  show();
}
