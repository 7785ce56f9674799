"use strict";
const $ = id => document.getElementById(id);
const picked = {};  // field -> {blob, name, note}
let models = [], result = null, running = null;  // result: {blob, name, note, before, after}, the last two of ImageData

function say(text, wrong = false) {
  $("says").textContent = text;
  $("says").classList.toggle("wrong", wrong);
}

async function ask(address, options) {
  let answer;
  try { answer = await fetch(address, options); }
  catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({error: "the server is busy; try again in a minute"}));
  throw new Error(told.error[0].toUpperCase() + told.error.slice(1) + ".");
}

const translate = (body, signal) => ask("api/translate", {method: "POST", body, signal}).then(async answer => ({
  blob: await answer.blob(),
  note: (answer.headers.get("X-Note") || "").replace(/(\d)x(\d)/g, "$1 × $2"),
}));

function request() {
  const form = new FormData();
  form.append("picture", picked.picture.blob, "picture");
  if (model().style && picked.style) form.append("style", picked.style.blob, "style");
  form.append("model", model().name);
  form.append("to", way().to);
  return form;
}

const model = () => models[$("model").selectedIndex];
const way = () => model().directions[$("way").selectedIndex];
const target = () => model().style ? "result" : way().to;
const options = (select, texts) => select.replaceChildren(...texts.map(text => new Option(text)));
const loaded = (image, blob) => new Promise((done, failed) => {
  URL.revokeObjectURL(image.src);
  image.onload = done;
  image.onerror = failed;
  image.src = URL.createObjectURL(blob);
});

function choose() {  // a model was chosen
  options($("way"), model().directions.map(one => `${one.from} → ${one.to}`));
  $("ways").hidden = model().directions.length < 2;
  document.querySelector("[data-field=style]").hidden = !model().style;
  $("made").textContent = model().made.replace(/,? sha256 [0-9a-f]{64}/g, "");
  $("made").title = model().made;
  ready();
}

function ready() {
  $("go").disabled = !running && !(picked.picture && model() && (!model().style || picked.style));
  $("go").textContent = running ? "Stop" : "Translate";
  $("stage").classList.toggle("busy", Boolean(running));
}

function show(both) {
  for (const part of [$("after"), $("from"), $("to"), $("cut"), document.querySelector(".line"), $("save")]) part.hidden = !both;
  $("empty").hidden = true;
  $("before").hidden = false;
  $("stage").classList.add("filled");
  $("stage").classList.toggle("both", both);
  const [width, height] = both ? [$("after").width, $("after").height] : [$("before").naturalWidth, $("before").naturalHeight];
  $("stage").style.setProperty("--w", width);
  $("stage").style.setProperty("--h", height);
  const thin = Math.max(width / height, height / width) > 8;  // and not to be seen in its own proportions
  $("stage").classList.toggle("thin", thin);
  const notes = [`${width} × ${height} pixels`, (both ? result : picked.picture).note, thin && "shown stretched"];
  $("size").textContent = notes.filter(Boolean).join("; ");
}

async function pick(field, blob, name) {
  const thumb = document.querySelector(`[data-field=${field}] .drop img`);
  if (running) running.abort();
  say("");
  try {
    const shown = await visible(blob);
    await loaded(thumb, shown.blob);
    thumb.hidden = false;
    thumb.previousElementSibling.hidden = true;
    picked[field] = {blob, name, note: shown.note};
    if (field === "picture") {
      result = null;
      await loaded($("before"), shown.blob);
      show(false);
    }
  } catch (error) {
    say(error.message, true);
  }
  ready();
}

async function visible(blob) {  // the server reads what the browser cannot show, and the first frame of an animation
  const start = await blob.slice(0, 65536).text();
  const moves = /^GIF8|^RIFF[^]*WEBP[^]*ANIM|^.PNG[^]*acTL/.test(start);
  if (!moves && await loaded(new Image(), blob).then(() => true, () => false)) return {blob, note: ""};
  const form = new FormData();
  form.append("picture", blob, "picture");
  form.append("strength", 0);
  return translate(form);
}

async function run() {
  const started = Date.now(), image = new Image();
  const clock = setInterval(() => say(`Translating … ${Math.round((Date.now() - started) / 1000)} s`), 1000);
  const from = way().from, to = target(), name = `${picked.picture.name.replace(/\.\w+$/, "")}-${to}.png`;
  running = new AbortController();
  say("Translating …");
  ready();
  try {
    const answer = await translate(request(), running.signal);
    await loaded(image, answer.blob);
    running.signal.throwIfAborted();
    const size = [image.naturalWidth, image.naturalHeight];
    result = {...answer, name, before: pixels($("before"), ...size), after: pixels(image, ...size)};
    URL.revokeObjectURL(image.src);
    $("from").textContent = from;
    $("to").textContent = to;
    mix();
    show(true);
    document.querySelector("section").scrollIntoView({block: "nearest"});
    say(`Done in ${((Date.now() - started) / 1000).toFixed(1)} s.`);
  } catch (error) {
    say(error.name === "AbortError" ? "Stopped." : error.message, error.name !== "AbortError");
  }
  clearInterval(clock);
  running = null;
  ready();
}

function pixels(image, width, height) {
  const pen = Object.assign(document.createElement("canvas"), {width, height}).getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, 0, 0, width, height);
  return pen.getImageData(0, 0, width, height);
}

function mix() {  // the strength changes what is shown and what is downloaded; nothing is translated again
  const strength = $("strength").value / 100, canvas = $("after");
  $("percent").textContent = `${$("strength").value} %`;
  if (!result) return;
  const {before, after} = result, mixed = new ImageData(after.width, after.height);
  for (let i = 0; i < mixed.data.length; i++)  // colors are mixed; alpha, every fourth value, is that of the result
    mixed.data[i] = i % 4 === 3 ? after.data[i] : before.data[i] + strength * (after.data[i] - before.data[i]);
  [canvas.width, canvas.height] = [after.width, after.height];
  canvas.getContext("2d").putImageData(mixed, 0, 0);
}

async function save() {
  const blob = $("strength").value === "100" ? result.blob : await new Promise(done => $("after").toBlob(done));
  const link = Object.assign(document.createElement("a"), {href: URL.createObjectURL(blob), download: result.name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function cut() { $("stage").style.setProperty("--cut", `${$("cut").value}%`); }

async function shoot(field) {  // by the camera, which browsers allow on this machine or over https only
  const dialog = document.querySelector("dialog"), video = dialog.querySelector("video");
  try { video.srcObject = await navigator.mediaDevices.getUserMedia({video: {facingMode: "environment"}}); }
  catch { return say("There is no camera, or the browser was told not to use it.", true); }
  $("shoot").disabled = true;  // until there is something to take
  video.onloadeddata = () => $("shoot").disabled = false;
  dialog.onclose = () => video.srcObject.getTracks().forEach(track => track.stop());
  $("close").onclick = () => dialog.close();
  $("shoot").onclick = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob(blob => pick(field, blob, "camera.png"));
    dialog.close();
  };
  dialog.showModal();
}

async function picker(place) {
  const field = place.dataset.field, offered = {picture: "examples", style: "styles"}[field];
  const examples = await (await ask(`api/${offered}`)).json();
  place.append($("picker").content.cloneNode(true));
  const drop = place.querySelector(".drop"), input = place.querySelector("input"), camera = place.querySelector(".camera");
  const take = files => files.length && pick(field, files[0], files[0].name || "picture.png");
  input.onchange = () => { take(input.files); input.value = ""; };
  drop.ondragover = event => { event.preventDefault(); drop.classList.add("over"); };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = event => { event.preventDefault(); drop.classList.remove("over"); take(event.dataTransfer.files); };
  camera.hidden = !navigator.mediaDevices;
  camera.onclick = () => shoot(field);
  place.querySelector(".strip").append(...examples.map(name => {
    const button = Object.assign(document.createElement("button"), {type: "button", title: name});
    button.append(Object.assign(new Image(), {alt: name, loading: "lazy", src: `api/${offered}/${encodeURIComponent(name)}`}));
    button.onclick = async () => pick(field, await (await fetch(button.firstChild.src)).blob(), name);
    return button;
  }));
}

async function start() {
  await Promise.all([...document.querySelectorAll(".pick")].map(picker));
  models = await (await ask("api/models")).json();
  options($("model"), models.map(one => one.name));
  choose();
}

document.querySelector("form").onsubmit = event => { event.preventDefault(); running ? running.abort() : run(); };
document.onpaste = event => event.clipboardData.files.length && pick("picture", event.clipboardData.files[0], "pasted.png");
$("model").onchange = choose;
$("strength").oninput = mix;
$("save").onclick = save;
$("cut").oninput = cut;
cut();
mix();
start().catch(error => say(error.message, true));
