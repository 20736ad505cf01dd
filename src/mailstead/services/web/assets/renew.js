// Parts of a page that come anew by themselves: data-every is in how many seconds. Followed as long as the page is
// looked at, and, where a box says so (data-follows), as long as it is ticked; one that is over loads the whole page.
const parts = [...document.querySelectorAll("[id][data-every]")];

async function renew(id) {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
  const now = document.getElementById(id);
  if (!fresh || !now || now.innerHTML === fresh.innerHTML) return;
  if (!fresh.hasAttribute("data-every")) {
    location.replace(location.href); // it is over: what the page offers is other now, too
    return;
  }
  const form = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of fresh.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.textContent = form.format(at);
  }
  now.replaceWith(document.adoptNode(fresh));
}

for (const part of parts) {
  const id = part.id;
  const box = document.querySelector(`[data-follows="${id}"]`);
  if (box) box.closest("label").hidden = false;
  let isBusy = false;
  setInterval(async () => {
    const now = document.getElementById(id);
    const isWanted = now && now.hasAttribute("data-every") && (!box || box.checked);
    if (!isWanted || isBusy || document.hidden || now.contains(document.activeElement)) return;
    isBusy = true;
    try {
      await renew(id);
    } catch {
      // the server may be away for a moment: it is asked again
    } finally {
      isBusy = false;
    }
  }, Number(part.dataset.every) * 1000);
}
