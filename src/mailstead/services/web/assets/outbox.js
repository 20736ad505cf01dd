// How long a message can still be taken back, second by second; by the server's clock, as this one's may be wrong.
const told = document.querySelector("[data-told]");

for (const line of document.querySelectorAll("[data-left-ms]")) {
  const end = performance.now() + Number(line.dataset.leftMs);
  const show = () => {
    const left_s = Math.ceil((end - performance.now()) / 1000);
    if (left_s > 0) {
      line.textContent = line.dataset.left.replace("{seconds}", left_s);
      setTimeout(show, Math.max(50, end - performance.now() - (left_s - 1) * 1000));
      return;
    }
    const form = line.closest("li").querySelector("form");
    const hasFocus = form?.contains(document.activeElement);
    line.textContent = told.textContent = line.dataset.gone;
    form?.remove();
    if (hasFocus) {
      line.focus();
    }
  };
  show();
}
