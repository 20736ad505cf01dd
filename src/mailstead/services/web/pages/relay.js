// A relay without a public certificate cannot be asked by the app itself: fetch an account here and hand it over.
const place = document.getElementById("new-account");
if (place) {
  place.addEventListener("click", async (event) => {
    event.preventDefault();
    const answer = await fetch("/new", { method: "POST" });
    const found = await answer.json();
    if (found.dclogin_url) { window.location.href = found.dclogin_url; } else { place.textContent = found.reason; }
  });
}
