"use strict";
// A search of many days takes a while: it says that it goes on, until the page is shown again.
document.querySelectorAll(".search form").forEach(form => {
  const button = form.querySelector("button"), label = button.textContent;
  form.addEventListener("submit", () => { form.setAttribute("aria-busy", "true"); button.textContent = "Searching …"; });
  addEventListener("pageshow", () => { form.removeAttribute("aria-busy"); button.textContent = label; });
});
(() => {
  const call = document.getElementById("call");
  if (!call) return;
  // Beyond these, drawing would take too much memory: the time line alone is shown.
  const LARGEST = 64 * 1024 * 1024, LONGEST = 3600, RATE = 8000, BARS = 500;
  const SVG = "http://www.w3.org/2000/svg";

  const clock = seconds => {
    const all = Math.floor(seconds), two = number => String(number).padStart(2, "0");
    const rest = two(all % 60);
    return all < 3600 ? `${Math.floor(all / 60)}:${rest}` : `${Math.floor(all / 3600)}:${two(Math.floor(all / 60) % 60)}:${rest}`;
  };

  // What this process knows of the bytes, as long as somebody listens or a check goes on.
  let asking = false;
  const show = state => state.files.forEach((file, number) => {
    const line = call.querySelector(`.track[data-number="${number}"] .check`);
    if (!line || line.textContent === file.text) return;
    line.textContent = file.text;
    line.className = `check ${file.class}`;
  });
  const ask = async () => {
    if (asking) return;
    asking = true;
    try {
      for (;;) {
        const state = await (await fetch(call.dataset.state)).json();
        show(state);
        const due = track => !state.files[track.number].done && (!track.player.paused || track.player.played.length > 0);
        const busy = state.files.some(file => file.busy) || tracks.some(due);
        if (!busy && tracks.every(track => track.player.paused)) break;
        await new Promise(done => setTimeout(done, busy ? 300 : 15000));
      }
    } catch {
      const gone = document.createElement("p");
      gone.className = "verdict bad";
      gone.setAttribute("role", "alert");
      gone.textContent = "This page is closed: archivectl has ended.";
      call.prepend(gone);
    }
    asking = false;
  };

  // The loudest sample of each bar, for each channel a lane of its own.
  const draw = (track, audio) => {
    const lanes = Math.min(audio.numberOfChannels, 2), tall = 100 / lanes;
    let path = "";
    for (let lane = 0; lane < lanes; lane++) {
      const samples = audio.getChannelData(lane), middle = (lane + 0.5) * tall;
      const peaks = Array.from({length: BARS}, (_, bar) => {
        let peak = 0;
        const end = Math.floor((bar + 1) * samples.length / BARS);
        for (let at = Math.floor(bar * samples.length / BARS); at < end; at++) peak = Math.max(peak, Math.abs(samples[at]));
        return peak;
      });
      const loudest = Math.max(...peaks, 0.01);
      peaks.forEach((peak, bar) => {
        const half = Math.max(peak / loudest * tall * 0.46, 0.5), x = (bar + 0.5) * 1000 / BARS;
        path += `M${x} ${(middle - half).toFixed(1)}V${(middle + half).toFixed(1)}`;
      });
    }
    track.bars.forEach(bars => bars.setAttribute("d", path));
    track.svg.dataset.drawn = lanes;
  };
  const decode = async track => {
    const note = text => { track.note.textContent = text; };
    if (track.svg.dataset.draw !== "audio") return;
    if (track.size > LARGEST || !(track.player.duration <= LONGEST)) return note("too long to be drawn");
    note("drawing …");
    try {
      const bytes = await (await fetch(track.player.currentSrc)).arrayBuffer();
      draw(track, await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes));
      note("");
    } catch {
      note("cannot be drawn");
    }
  };

  const length = track => Number.isFinite(track.player.duration) ? track.player.duration : track.told;
  const place = track => {
    const all = length(track), x = all ? Math.min(track.player.currentTime / all, 1) * 1000 : 0;
    track.head.setAttribute("x1", x);
    track.head.setAttribute("x2", x);
    track.bars[1].setAttribute("clip-path", "url(#" + track.clip.parentNode.id + ")");
    track.clip.setAttribute("width", x);
    track.now.textContent = clock(track.player.currentTime);
    track.end.textContent = all ? clock(all) : "";
  };
  const stretches = track => {
    const all = length(track) * 1000, group = track.svg.querySelector(".stretches");
    group.replaceChildren();
    if (!all) return;
    track.marks.forEach(mark => {
      const stretch = document.createElementNS(SVG, "rect"), begin = Number(mark.dataset.begin);
      stretch.setAttribute("class", mark.classList.contains("hold") ? "stretch hold" : "stretch");
      stretch.setAttribute("x", begin / all * 1000);
      stretch.setAttribute("width", Math.max(Number(mark.dataset.length) / all * 1000, 2));
      stretch.setAttribute("height", 100);
      group.append(stretch);
    });
  };
  const tracks = [...call.querySelectorAll(".track")].flatMap(box => {
    const player = box.querySelector(".player");
    if (!player) return [];
    const svg = box.querySelector(".wave"), recording = box.closest(".recording");
    const clip = document.createElementNS(SVG, "rect"), path = document.createElementNS(SVG, "clipPath");
    path.id = `played-${box.dataset.number}`;
    clip.setAttribute("height", 100);
    path.append(clip);
    svg.prepend(path);
    return [{
      player, svg, clip, recording, led: NaN, number: Number(box.dataset.number),
      size: Number(box.dataset.size), told: Number(box.dataset.length || 0) / 1000,
      bars: [...svg.querySelectorAll(".bars")], head: svg.querySelector(".head"),
      now: box.querySelector(".now"), end: box.querySelector(".end"), note: box.querySelector(".note"),
      check: box.querySelector(".check"), marks: [...recording.querySelectorAll(".mark")],
    }];
  });

  // Channels of a recording follow the one that somebody uses.
  const others = track => {
    const together = track.recording.querySelector(".together");
    return together && together.checked ? tracks.filter(other => other !== track && other.recording === track.recording) : [];
  };
  const lead = (other, place) => {
    other.player.currentTime = place;
    // Its last place, where it is shorter.
    other.led = other.player.currentTime;
  };
  // Those that play are never at quite the same place.
  const follow = track => others(track).forEach(other => {
    const place = track.player.currentTime, apart = Math.abs(other.player.currentTime - place);
    if (apart > (track.player.paused ? 0 : 0.2)) lead(other, place);
  });
  // One that comes late to where it was led leads nobody back.
  const arrived = track => {
    const led = Math.abs(track.player.currentTime - track.led) < 0.05;
    track.led = NaN;
    if (!led) follow(track);
  };
  const seek = (track, seconds) => {
    const all = length(track), place = all ? Math.min(Math.max(seconds, 0), all) : seconds;
    track.player.currentTime = place;
    others(track).forEach(other => lead(other, place));
  };

  tracks.forEach(track => {
    const {player, svg} = track;
    player.addEventListener("loadedmetadata", () => { stretches(track); place(track); decode(track); }, {once: true});
    const run = () => { place(track); if (!player.paused) requestAnimationFrame(run); };
    player.addEventListener("seeked", () => { place(track); arrived(track); });
    player.addEventListener("play", () => {
      run();
      follow(track);
      others(track).forEach(other => { if (other.player.paused) other.player.play().catch(() => {}); });
      ask();
    });
    player.addEventListener("pause", () => {
      place(track);
      if (!player.ended) others(track).forEach(other => other.player.pause());
    });
    player.addEventListener("error", async () => {
      track.note.textContent = "this browser cannot play it, or it cannot be read: try the download";
      await ask();
    });
    svg.addEventListener("click", event => {
      const box = svg.getBoundingClientRect();
      if (length(track)) seek(track, (event.clientX - box.left) / box.width * length(track));
    });
    stretches(track);
    place(track);
  });
  call.querySelectorAll(".mark").forEach(mark => mark.addEventListener("click", () => {
    const track = tracks.find(one => one.marks.includes(mark));
    if (track) seek(track, Number(mark.dataset.begin) / 1000);
  }));
  call.querySelectorAll("a[download]").forEach(link => link.addEventListener("click", () => setTimeout(ask, 500)));
})();
