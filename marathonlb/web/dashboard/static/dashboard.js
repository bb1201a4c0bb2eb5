// Keeps a page up to date: when something happens (/api/events), the page is fetched again and what differs is put in
// place. So there is one way to make a page, and it is the server's; without this script the pages can be read as well.
"use strict";

(() => {
  const FLOOR = 500; // milliseconds between two looks, however much happens
  const PATIENCE = 15000; // milliseconds that an answer may take
  const AGAIN = 2000; // milliseconds after which a stream that was refused is opened again
  const TYPING = 180; // milliseconds without a key after which a search begins

  const $ = (id) => document.getElementById(id);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  document.documentElement.classList.add("scripted");

  // ---- how long ago: the server's words, going on with its clock

  let skew = 0;
  const setClock = () => { skew = Number(document.body.dataset.now) - Date.now() / 1000; };

  const ago = (seconds) => {
    if (seconds < 1) return "now";
    for (const [unit, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (seconds >= unit) return `${Math.floor(seconds / unit)} ${name} ago`;
    }
    return `${Math.floor(seconds)} s ago`;
  };

  const tick = () => {
    const now = Date.now() / 1000 + skew;
    for (const time of document.querySelectorAll("time[data-at]")) {
      const words = ago(now - Number(time.dataset.at));
      if (time.firstChild && time.firstChild.nodeValue !== words) time.firstChild.nodeValue = words;
    }
  };

  // ---- from what is shown to what is to be shown, with as few changes as can be: focus, selection and scroll stay

  const keyOf = (node) => (node.nodeType === 1 && (node.dataset.key || node.id)) || "";
  const alike = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

  const flash = (node) => {
    const spot = node.parentElement && node.parentElement.closest("[data-flash]");
    if (!spot || still.matches) return;
    // The variable and not its colour: where the scheme turns from light to dark meanwhile, this turns with the text.
    spot.animate([{ backgroundColor: "var(--flash)" }, { backgroundColor: "transparent" }], { duration: 1600 });
  };

  const morphAttributes = (from, to) => {
    for (const { name } of [...from.attributes]) if (!to.hasAttribute(name)) from.removeAttribute(name);
    for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  };

  const morph = (from, to) => {
    if (from.nodeType !== 1) {
      if (from.nodeValue !== to.nodeValue) {
        from.nodeValue = to.nodeValue;
        flash(from);
      }
      return;
    }
    if ("keep" in from.dataset || from.isEqualNode(to)) return;
    if (from.matches("input, select") && from.type !== "hidden") {
      if (from.nodeName === "SELECT" && document.activeElement !== from) {
        const chosen = from.value;
        morphChildren(from, to);
        from.value = chosen;
      }
      return; // what somebody has typed or chosen is theirs
    }
    morphAttributes(from, to);
    morphChildren(from, to);
  };

  const morphChildren = (from, to) => {
    const keyed = new Map();
    for (const child of from.children) if (keyOf(child)) keyed.set(keyOf(child), child);
    let at = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      const key = keyOf(wanted);
      const match = key ? keyed.get(key) : at;
      if (match && alike(match, wanted)) {
        if (match === at) at = at.nextSibling;
        else from.insertBefore(match, at);
        morph(match, wanted);
      } else {
        from.insertBefore(document.importNode(wanted, true), at);
      }
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  };

  const assets = (page) => page.querySelector("script[src]")?.getAttribute("src");

  const show = (text) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    if (!page.body.dataset.now) return false; // not one of ours: HAProxy's own words, for example
    if (assets(page) !== assets(document)) { // the controller is another version now
      location.reload();
      return true;
    }
    document.title = page.title;
    morph(document.body, page.body);
    showToken();
    setClock();
    tick();
    return true;
  };

  // ---- the admin token: kept by this tab alone, and sent with what this script asks for

  const TOKEN = "marathon-lb-admin-token";
  let token = "";
  try {
    token = sessionStorage.getItem(TOKEN) || "";
  } catch {
    // a browser that keeps nothing for us: it is known until the page is left
  }

  const withToken = (headers) => (token ? { ...headers, Authorization: `Bearer ${token}` } : headers);

  const showToken = (words) => {
    const form = $("token");
    if (!form) return;
    form.hidden = "admin" in document.body.dataset && !token;
    form.classList.toggle("has-token", Boolean(token));
    if (words !== undefined) $("token-says").textContent = words;
  };

  const keepToken = (text, words) => {
    token = text;
    try {
      if (text) sessionStorage.setItem(TOKEN, text);
      else sessionStorage.removeItem(TOKEN);
    } catch {
      // as above
    }
    showToken(words);
  };

  const isRefused = (answer) => Boolean(token) && (answer.status === 401 || answer.status === 429);

  document.addEventListener("submit", (event) => {
    if (event.target !== $("token")) return;
    event.preventDefault();
    const text = $("token-text").value.trim();
    $("token-text").value = "";
    if (!/^[\x21-\x7e]+$/.test(text)) {
      showToken("Not a valid token.");
      return;
    }
    keepToken(text, "");
    lookNow();
  });

  $("token-forget")?.addEventListener("click", () => {
    keepToken("", "");
    lookNow();
  });

  // ---- looking again

  let due, began = -FLOOR, asking = null;

  const lost = (words) => {
    const place = $("lost");
    place.hidden = !words;
    if (place.textContent !== words) place.textContent = words;
  };

  const look = async () => {
    due = undefined;
    began = performance.now();
    asking?.abort();
    const asked = (asking = new AbortController());
    const late = setTimeout(() => asked.abort("late"), PATIENCE);
    let words = "";
    try {
      const answer = await fetch(location.href, { headers: withToken({}), signal: asked.signal, cache: "no-store" });
      const text = await answer.text();
      if (isRefused(answer)) {
        keepToken("", text);
        lookSoon();
      } else if (asking === asked && !show(text)) words = "The controller does not answer. HAProxy keeps serving; this page is out of date.";
    } catch {
      words = "The stats address does not answer; this page is out of date.";
    } finally {
      clearTimeout(late);
    }
    if (asking === asked) {
      asking = null;
      lost(words);
    }
  };

  const lookSoon = () => {
    if (document.hidden || due !== undefined) return;
    due = setTimeout(look, Math.max(0, began + FLOOR - performance.now()));
  };

  const lookNow = () => {
    clearTimeout(due);
    due = undefined;
    return look();
  };

  // ---- being told; a page that nobody sees is not told, since a browser has few connections

  let stream = null, again;

  const say = (live) => {
    const link = $("link");
    link.hidden = false;
    link.classList.toggle("is-live", live);
    link.textContent = live ? "live" : "connecting";
  };

  const listen = () => {
    clearTimeout(again);
    stream?.close();
    stream = new EventSource("/api/events");
    stream.onopen = () => { say(true); lookSoon(); };
    stream.addEventListener("timeline", lookSoon);
    stream.addEventListener("missed", lookSoon);
    stream.onerror = () => {
      say(false);
      lookSoon();
      if (stream.readyState === EventSource.CLOSED) again = setTimeout(listen, AGAIN);
    };
  };

  const seen = () => {
    if (document.hidden) {
      clearTimeout(again);
      stream?.close();
      stream = null;
      say(false);
    } else if (!stream) {
      listen();
    }
  };

  let sinceLook = 0;

  const everySecond = () => {
    tick();
    const refresh = Number(document.body.dataset.refresh);
    sinceLook += 1;
    if ((refresh && sinceLook >= refresh) || (!$("lost").hidden && sinceLook >= 2)) {
      sinceLook = 0;
      lookSoon();
    }
  };

  // ---- searching while one types

  let typing;

  const search = (form) => {
    const fields = [...new FormData(form)].filter(([, value]) => value);
    const query = new URLSearchParams(fields).toString();
    history.replaceState(null, "", form.getAttribute("action") + (query ? `?${query}` : ""));
    lookNow();
  };

  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (!form || !("live" in form.dataset)) return;
    clearTimeout(typing);
    typing = setTimeout(search, TYPING, form);
  });

  document.addEventListener("submit", (event) => {
    if (!("live" in event.target.dataset)) return;
    event.preventDefault();
    clearTimeout(typing);
    search(event.target);
  });

  // ---- what changes something: asked for twice, said when it fails

  const post = async (button) => {
    const answer = await fetch(button.dataset.post, {
      method: "POST",
      headers: withToken({ "Content-Type": "application/json" }),
      body: button.dataset.body,
    });
    if (answer.ok) return "";
    const text = await answer.text();
    if (isRefused(answer)) keepToken("", "The token is no longer valid.");
    try {
      return JSON.parse(text).error || text;
    } catch {
      return `${answer.status} ${text.slice(0, 300)}`;
    }
  };

  const ask = (button) => {
    const sure = $("sure");
    $("sure-title").textContent = button.dataset.title;
    $("sure-text").textContent = button.dataset.text;
    $("sure-yes").textContent = button.dataset.do;
    $("sure-error").textContent = "";
    $("sure-no").onclick = () => sure.close();
    $("sure-yes").onclick = async () => {
      $("sure-yes").disabled = true;
      let words;
      try {
        words = await post(button);
      } catch {
        words = "The controller does not answer.";
      }
      $("sure-yes").disabled = false;
      $("sure-error").textContent = words;
      if (!words) {
        sure.close();
        await lookNow();
      }
    };
    sure.showModal();
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-post]");
    if (button) ask(button);
  });

  if (!location.hash) document.querySelector(".line.is-marked")?.scrollIntoView({ block: "center" });
  setClock();
  setInterval(everySecond, 1000);
  document.addEventListener("visibilitychange", seen);
  seen();
  showToken();
  if (token) lookNow();
})();
