// A relay without a public certificate cannot be asked by the app itself: fetch an account here, show it as a code for
// another device, and make the button hand it over on this one.
const place = document.getElementById("new-account");
if (place) {
  place.addEventListener("click", async (event) => {
    if (place.dataset.ready) { return; }
    event.preventDefault();
    const answer = await fetch("/new", { method: "POST" });
    const found = await answer.json();
    if (!found.dclogin_url) { place.textContent = found.reason; return; }
    const code = document.createElement("img");
    code.src = found.dclogin_qr;
    code.alt = found.email;
    place.after(code);
    place.href = found.dclogin_url;
    place.textContent = found.email;
    place.dataset.ready = "yes";
  });
}
