// Fetches the page again while it is looked at, and puts its content in the place of the old one.
"use strict";
(() => {
  const every = 3000;
  const live = document.getElementById("live");
  const busy = () => {
    const at = document.activeElement;
    return document.hidden || (at && at.closest("main form, main details")) ||
      document.querySelector("main details[open]") || String(getSelection());
  };
  const look = async () => {
    if (busy()) return;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (answer.redirected) { location.reload(); return; }
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main"), old = document.querySelector("main");
      if (busy() || !fresh || fresh.innerHTML === old.innerHTML) { live.hidden = false; return; }
      const places = [...old.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
      const at = document.activeElement && document.activeElement.getAttribute("href");
      const table = [...old.querySelectorAll(".scroll")].indexOf(document.activeElement);
      old.replaceChildren(...fresh.childNodes);
      old.querySelectorAll(".scroll").forEach((one, n) => { one.scrollLeft = places[n] || 0; });
      if (table >= 0) old.querySelectorAll(".scroll")[table]?.focus({ preventScroll: true });
      if (at && document.activeElement === document.body) {
        const again = [...old.querySelectorAll("a")].find((one) => one.getAttribute("href") === at);
        if (again) again.focus({ preventScroll: true });
      }
      live.hidden = false;
    } catch {
      live.hidden = true;
    }
  };
  if (location.pathname !== "/login") {
    live.hidden = false;
    setInterval(look, every);
    document.addEventListener("visibilitychange", look); // what was hidden is old
  }
})();
