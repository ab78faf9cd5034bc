#!/usr/bin/env bash
# Makes the sample recordings of the simulators: two short support calls, spoken by espeak-ng.
#
#   bash src/sim/media/make.sh             # into this directory
#   bash src/sim/media/make.sh other/dir   # elsewhere, to compare
#
# Needs espeak-ng, sox, ffmpeg and zip. The same versions of these tools give the same bytes again: no dither, no dates,
# no encoder names, fixed serial numbers. Other versions may encode differently; README.md names the versions used.
set -euo pipefail
export LC_ALL=C TZ=UTC

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The two people. The customer is the external party (channel 0, left), the agent the internal one (channel 1, right).
customer() { espeak-ng -v en-gb -p 35 -s 190 -w "$1" "$2"; }
agent() { espeak-ng -v en-us+f3 -p 60 -s 190 -w "$1" "$2"; }

# party NAME SECONDS VOICE DELAY TEXT: one side of a call as 8 kHz 16-bit mono, silent until DELAY, exactly SECONDS long.
party() {
  "$3" "$work/raw.wav" "$5"
  sox -D "$work/raw.wav" -b 16 -c 1 "$work/padded.wav" gain -n -3 rate -m 8000 pad "$4" "$2"
  sox -D "$work/padded.wav" "$work/$1.wav" trim 0 "$2"
}

# call NAME SECONDS: both sides as left and right channel.
call() {
  sox -D -M "$work/$1-0.wav" "$work/$1-1.wav" -b 16 "$work/$1.wav"
}

# encode FROM TO OPTIONS...: every byte of TO depends on FROM and the options alone.
encode() {
  local from=$1 to=$2
  shift 2
  ffmpeg -nostdin -hide_banner -loglevel error -y -threads 1 -i "$from" -map_metadata -1 \
    -fflags +bitexact -flags:a +bitexact "$@" "$out/$to"
}

party call-01-0 4.5 customer 0 "Hello, my invoice is wrong."
party call-01-1 4.5 agent 2.0 "I am sorry. Let me correct that for you."
call call-01
party call-02-0 4.0 customer 1.7 "I would like to change my address."
party call-02-1 4.0 agent 0 "Good morning, how can I help?"
call call-02

encode "$work/call-01.wav" call-01.wav -c:a pcm_s16le
encode "$work/call-02.wav" call-02.wav -c:a pcm_s16le
encode "$work/call-01-0.wav" call-01-0.wav -c:a pcm_s16le
encode "$work/call-01-1.wav" call-01-1.wav -c:a pcm_s16le
encode "$work/call-01.wav" call-01.ulaw.wav -c:a pcm_mulaw
encode "$work/call-01.wav" call-01.mp3 -c:a libmp3lame -b:a 32k
encode "$work/call-01.wav" call-01.opus -c:a libopus -b:a 32k -application voip -f ogg -serial_offset 1
encode "$work/call-01.wav" call-01.webm -c:a libopus -b:a 32k -application voip -f webm
encode "$work/call-01.wav" call-01.flac -c:a flac -compression_level 8

# A chat: the container is genuine, the layout inside is ours. 1980-01-01 is the zero of ZIP's clock.
cat >"$work/transcript.txt" <<'TEXT'
[00:00] customer: Hello, my invoice is wrong.
[00:07] agent: I am sorry. Let me correct that for you.
[00:41] customer: Thank you, that was quick.
TEXT
touch -d '1980-01-01 00:00:00' "$work/transcript.txt"
rm -f "$out/chat-01.zip"
(cd "$work" && zip -X -9 -q "$out/chat-01.zip" transcript.txt)
