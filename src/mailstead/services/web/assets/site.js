// What every page gets: moments in the reader's own zone, choices that apply at once, buttons that copy.
const language = document.documentElement.lang;
const zone = document.documentElement.dataset.zone;
const shown = { dateStyle: "medium", timeStyle: "short" };
let form;
try {
  form = new Intl.DateTimeFormat(language, { ...shown, timeZone: zone });
} catch {
  form = new Intl.DateTimeFormat(language, shown); // a zone that this browser does not know
}

function showTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.title = time.textContent;
      time.textContent = form.format(at);
    }
  }
}
showTimes(document);
document.addEventListener("shown", (event) => showTimes(event.target)); // what another script has put into the page

for (const select of document.querySelectorAll(".look select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = button.dataset.copied;
  });
}
