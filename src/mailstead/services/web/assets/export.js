// Tells how far the archive is while the browser loads it; without scripts the page says it when it is asked again.
const LOOK_MS = 2000;
const SILENT_MAX = 5; // looks before the archive has begun

for (const section of document.querySelectorAll("[data-export]")) {
  const bar = section.querySelector("progress");
  const words = section.querySelector('[role="status"]');
  let watching = false;

  const watch = async () => {
    let began = false;
    for (let silent = 0; silent < SILENT_MAX; silent++) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      const answer = await fetch(section.dataset.progress, { credentials: "same-origin" }).catch(() => null);
      if (!answer?.ok) continue;
      const { done, all } = await answer.json();
      if (all === undefined) {
        if (began) break;
        continue;
      }
      began = true;
      silent = 0;
      bar.hidden = false;
      bar.max = Math.max(all, 1);
      bar.value = done;
      words.textContent = section.dataset.told.replace("%(done)s", done).replace("%(all)s", all);
    }
    bar.hidden = true;
    words.textContent = section.dataset.done;
    watching = false;
  };

  section.querySelector('form[action$="/archive"]')?.addEventListener("submit", () => {
    if (watching) return;
    watching = true;
    watch();
  });
}
