// What the page does by itself: says when it hears nothing, draws the trend, traces a node's way through the flow.
"use strict";
(() => {
  const SILENT_SECONDS = 4, STUCK_SECONDS = 10, TREND_SECONDS = 600;
  const live = document.getElementById("live"), silent = document.getElementById("silent"), tip = document.getElementById("tip");
  const version = document.getElementById("pulse").dataset.version;
  let heard = performance.now(), connection = null, cancelled = 0;

  // --- silence ---------------------------------------------------------------------------------------------------
  document.addEventListener("htmx:sse:after:connection", (event) => { connection = event.detail.connection; });
  document.addEventListener("htmx:sse:after:message", () => { 
    heard = performance.now();
    cancelled = 0;
    if (document.getElementById("pulse").dataset.version !== version) return location.reload(); // the console was renewed
    silence();
    renew();
  });

  function span(seconds) {
    const units = silent.dataset.units.split("|");
    if (seconds < 120) return `${Math.round(seconds)} ${units[0]}`;
    if (seconds < 7200) return `${Math.round(seconds / 60)} ${units[1]}`;
    return seconds < 172800 ? `${Math.round(seconds / 3600)} ${units[2]}` : `${Math.round(seconds / 86400)} ${units[3]}`;
  }
  function silence() {
    const seconds = (performance.now() - heard) / 1000;
    silent.hidden = seconds < SILENT_SECONDS;
    live.querySelector("#flow")?.classList.toggle("old", !silent.hidden || live.querySelector("#lost") !== null);
    if (silent.hidden) return;
    const text = silent.dataset.text.replace("{time}", document.getElementById("pulse").dataset.clock).replace("{age}", span(seconds));
    silent.querySelector("p").textContent = text;
    if (seconds - cancelled < STUCK_SECONDS) return;
    cancelled = seconds;
    if (connection?.reader) connection.reader.cancel(); // its other end is gone and says nothing: it connects again
    else if (!connection) fetch("api/trend").then((answer) => { if (answer.ok) location.reload(); }, () => {}); // it never connected
  }
  setInterval(() => { if (!document.hidden) silence(); }, 500);
  document.addEventListener("visibilitychange", () => { heard = performance.now(); cancelled = 0; });

  // --- tracing ---------------------------------------------------------------------------------------------------
  let traced = null;
  function way(start) {
    const nodes = new Set([start]), edges = new Set(), all = [...live.querySelectorAll(".edge")];
    for (const [near, far] of [["from", "to"], ["to", "from"]]) {
      const reached = [start];
      while (reached.length) {
        const here = reached.pop();
        for (const edge of all) {
          if (edge.dataset[near] !== here || edges.has(edge)) continue;
          edges.add(edge);
          nodes.add(edge.dataset[far]);
          reached.push(edge.dataset[far]);
        }
      }
    }
    return { nodes, edges };
  }
  function trace() {
    const flow = live.querySelector("#flow"), node = traced && document.getElementById(traced);
    flow.classList.toggle("tracing", Boolean(node));
    const lit = node ? way(traced) : { nodes: new Set(), edges: new Set() };
    for (const each of flow.querySelectorAll(".node")) each.classList.toggle("lit", lit.nodes.has(each.dataset.node));
    for (const each of flow.querySelectorAll(".edge")) each.classList.toggle("lit", lit.edges.has(each));
    tip.hidden = !node;
    if (!node) return;
    tip.textContent = node.dataset.tip;
    const box = node.getBoundingClientRect(), size = tip.getBoundingClientRect();
    const below = box.bottom + 8 + size.height < innerHeight;
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - size.width - 8))}px`;
    tip.style.top = `${below ? box.bottom + 8 : Math.max(8, box.top - size.height - 8)}px`;
  }
  function point(event) {
    const id = event.target.closest?.(".node")?.dataset.node ?? null;
    if (id === traced) return;
    traced = id;
    trace();
  }
  live.addEventListener("mouseover", point);
  live.addEventListener("focusin", point);
  live.addEventListener("focusout", () => { traced = null; trace(); });
  document.documentElement.addEventListener("mouseleave", () => { traced = null; trace(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") { traced = null; trace(); } });

  // --- light and dark --------------------------------------------------------------------------------------------
  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: light)");
  const asked = new URLSearchParams(location.search).has("theme");
  const kept = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
  if (kept && !asked) root.dataset.theme = kept;
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.dataset.theme ?? (dark.matches ? "light" : "dark");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* this browser keeps nothing: until it is closed */ }
    draw();
  });
  dark.addEventListener("change", draw);

  // --- trend -----------------------------------------------------------------------------------------------------
  let points = [], charts = null;
  async function load() {
    try {
      const answer = await fetch("api/trend");
      if (answer.ok) points = await answer.json();
    } catch { return; } // the page says itself that it hears nothing
    draw();
  }
  function renew() {
    if (traced) trace();
    const told = document.getElementById("pulse").dataset.point;
    if (!told) return;
    const point = JSON.parse(told), last = points.at(-1);
    if (last && point[0] <= last[0]) return;
    if (!last || point[0] - last[0] > 15) return void load();
    points.push(point);
    points = points.filter((each) => each[0] > point[0] - TREND_SECONDS);
    draw();
  }
  function axis(colours, size) {
    const end = points.at(-1)[0] * 1000;
    return {
      animation: false,
      grid: { left: 3.2 * size, right: size, top: .5 * size, bottom: 1.5 * size },
      xAxis: { type: "time", min: end - TREND_SECONDS * 1000, max: end, axisLine: { lineStyle: { color: colours("--line") } }, axisTick: { show: false }, splitLine: { show: false },
        axisLabel: { color: colours("--muted"), fontSize: .75 * size, hideOverlap: true, formatter: (time) => new Date(time).toTimeString().slice(0, 5) } },
      yAxis: { type: "value", min: 0, minInterval: 1, splitNumber: 2, splitLine: { lineStyle: { color: colours("--line") } }, axisLabel: { color: colours("--muted"), fontSize: .75 * size } },
    };
  }
  function draw() {
    if (!window.echarts || !points.length) return;
    charts ??= ["rates", "ages"].map((id) => echarts.init(document.getElementById(id), null, { renderer: "canvas" }));
    const style = getComputedStyle(root), colours = (name) => style.getPropertyValue(name).trim(), size = parseFloat(style.fontSize);
    const line = (column, colour, fill) => ({
      type: "line", showSymbol: false, silent: true, lineStyle: { width: .14 * size, color: colours(colour) }, itemStyle: { color: colours(colour) },
      areaStyle: fill ? { color: colours(colour), opacity: .16 } : undefined, data: points.map((each) => [each[0] * 1000, each[column]]),
    });
    charts[0].setOption({ ...axis(colours, size), series: [line(1, "--into", true), line(2, "--out", false)] });
    charts[1].setOption({ ...axis(colours, size), series: [line(3, "--ok", true)] });
  }
  addEventListener("resize", () => { for (const each of charts ?? []) each.resize(); draw(); });
  addEventListener("load", () => { // the picture comes first, the charts' library after it
    const script = document.createElement("script");
    script.src = document.getElementById("trend").dataset.script;
    script.addEventListener("load", load);
    document.head.append(script);
  });
})();
