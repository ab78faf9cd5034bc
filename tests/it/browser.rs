//! A real Chromium, driven over the pipe of its DevTools protocol: <https://chromedevtools.github.io/devtools-protocol/>.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::stack::installed;

/// Its names in distributions.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The accessibility checker, as `scripts/dev-venv` installs it.
const AXE: &str = "npm/node_modules/axe-core/axe.min.js";

/// Colours that a reader prefers.
pub(crate) const SCHEMES: [&str; 2] = ["light", "dark"];

/// A browser with one page. Goes away when dropped.
pub(crate) struct Browser {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// Number of the last command.
    last: u64,
    /// The page's session; none before there is one.
    session: Option<String>,
    axe: String,
    /// The events since it began to listen to them.
    heard: Vec<Value>,
    profile: PathBuf,
    _child: Child,
}

/// Returns where the browser is; prints where there is none.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|file| file.is_file());
    if found.is_none() {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let word = format!("skipped {test}: no chromium; run scripts/chromium\n");
        let _ = std::io::stderr().write_all(word.as_bytes());
    }
    found
}

impl Browser {
    /// Starts it with an empty page. Where something is missing, says so and returns nothing.
    pub(crate) async fn start() -> Option<Self> {
        let (program, axe) = (chromium()?, installed(AXE)?);
        let profile = std::env::temp_dir().join(format!("chromium-{}", uuid::Uuid::new_v4()));
        // The shell gives the browser our pipes as 3 and 4, where it expects them. Its sandbox needs rights that a
        // container does not have; the pages are our own.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>&2", "sh"])
            .arg(program)
            .args([
                "--headless",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
            ])
            .args([
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-extensions",
                // Dates are typed as month, day and year.
                "--lang=en-US",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut browser = Self {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()),
            last: 0,
            session: None,
            axe: std::fs::read_to_string(axe).unwrap(),
            heard: Vec::new(),
            profile,
            _child: child,
        };
        let target = browser
            .call("Target.createTarget", json!({"url": "about:blank"}))
            .await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser.call("Page.enable", json!({})).await;
        Some(browser)
    }

    /// Sends a command and returns its result.
    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.to
            .write_all(format!("{command}\0").as_bytes())
            .await
            .unwrap();
        loop {
            let message = self.message().await;
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    /// Reads the next message: an answer or an event.
    async fn message(&mut self) -> Value {
        let mut text = Vec::new();
        self.from.read_until(0, &mut text).await.unwrap();
        assert_eq!(text.pop(), Some(0), "the browser went away");
        let message: Value = serde_json::from_slice(&text).unwrap();
        if message["id"].is_null() {
            self.heard.push(message.clone());
        }
        message
    }

    /// Begins to listen to requests, errors and what the console is told.
    pub(crate) async fn listen(&mut self) {
        for domain in ["Network", "Log", "Runtime"] {
            self.call(&format!("{domain}.enable"), json!({})).await;
        }
    }

    /// Returns the URLs that were asked for since it began to listen.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self
            .heard
            .iter()
            .filter(|event| event["method"] == "Network.requestWillBeSent");
        let url = |event: &Value| event["params"]["request"]["url"].as_str().unwrap().to_owned();
        asked.map(url).collect()
    }

    /// Returns the complaints since it began to listen.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let complaints = [
            "Log.entryAdded",
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
        ];
        let complains = |event: &&Value| complaints.iter().any(|method| event["method"] == *method);
        self.heard
            .iter()
            .filter(complains)
            .map(Value::to_string)
            .collect()
    }

    /// Writes what is seen of the page into this file.
    pub(crate) async fn photograph(&mut self, file: &Path) {
        let whole = json!({"format": "png", "captureBeyondViewport": true});
        let photo = self.call("Page.captureScreenshot", whole).await;
        let bytes = BASE64.decode(photo["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }

    /// Opens a file in a window of this width, for a reader who prefers this scheme.
    pub(crate) async fn open(&mut self, file: &Path, width: u32, scheme: &str) {
        self.visit(&format!("file://{}", file.display()), width, scheme)
            .await;
    }

    /// Opens a URL in a window of this width, for a reader who prefers this scheme.
    pub(crate) async fn visit(&mut self, url: &str, width: u32, scheme: &str) {
        let size = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features).await;
        self.call("Page.navigate", json!({"url": url})).await;
        while self.message().await["method"] != "Page.loadEventFired" {}
    }

    /// Presses Enter, and waits for the page that this leads to.
    pub(crate) async fn follow(&mut self) {
        let loaded = self.loaded();
        self.press("Enter", 13).await;
        self.wait_for_load(loaded).await;
    }

    /// Clicks the middle of the first element that a selector finds, and waits for the page that this leads to.
    pub(crate) async fn click_through(&mut self, selector: &str) {
        let loaded = self.loaded();
        self.click(selector, 0.5).await;
        self.wait_for_load(loaded).await;
    }

    /// Returns how many pages were loaded.
    fn loaded(&self) -> usize {
        let heard = self.heard.iter();
        heard
            .filter(|event| event["method"] == "Page.loadEventFired")
            .count()
    }

    async fn wait_for_load(&mut self, before: usize) {
        while self.loaded() == before {
            self.message().await;
        }
    }

    /// Moves the pointer to the first element that a selector finds, to this share of its width, and clicks.
    pub(crate) async fn click(&mut self, selector: &str, across: f64) {
        let place = format!(
            "(() => {{ const one = document.querySelector({selector:?}); one.scrollIntoView({{block: 'center'}});
                const box = one.getBoundingClientRect();
                return {{x: box.left + box.width * {across}, y: box.top + box.height / 2}}; }})()"
        );
        let place = self.evaluate(&place).await;
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let params =
                json!({"type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", params).await;
        }
    }

    /// Types letters, digits and spaces where the focus is, key by key.
    pub(crate) async fn write(&mut self, text: &str) {
        for key in text.chars() {
            let code = u32::from(key.to_ascii_uppercase());
            for kind in ["keyDown", "keyUp"] {
                let mut params = json!({"type": kind, "key": key.to_string(), "windowsVirtualKeyCode": code});
                if kind == "keyDown" {
                    params["text"] = json!(key.to_string());
                }
                self.call("Input.dispatchKeyEvent", params).await;
            }
        }
    }

    /// Clicks a link to a file to keep, and returns the file and its bytes once the browser has all of it.
    pub(crate) async fn download(&mut self, selector: &str) -> (String, Vec<u8>) {
        let folder = self.profile.join("downloads");
        let keep = json!({"behavior": "allow", "downloadPath": folder, "eventsEnabled": true});
        // Of the browser, and of no page.
        let session = self.session.take();
        self.call("Browser.setDownloadBehavior", keep).await;
        self.session = session;
        self.click(selector, 0.5).await;
        loop {
            let ended = self.heard.iter().find(|event| {
                event["method"] == "Browser.downloadProgress" && event["params"]["state"] != "inProgress"
            });
            if let Some(ended) = ended {
                assert_eq!(ended["params"]["state"], "completed", "{ended}");
                break;
            }
            self.message().await;
        }
        let mut files = std::fs::read_dir(folder).unwrap();
        let file = files.next().unwrap().unwrap();
        let name = file.file_name().into_string().unwrap();
        (name, std::fs::read(file.path()).unwrap())
    }

    /// Returns the value of an expression, or of what it promises.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true});
        let got = self.call("Runtime.evaluate", params).await;
        assert!(got["exceptionDetails"].is_null(), "{expression}: {got}");
        got["result"]["value"].clone()
    }

    /// Presses and releases a key that types nothing, or Enter.
    pub(crate) async fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let mut params = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if key == "Enter" && kind == "rawKeyDown" {
                params["type"] = json!("keyDown");
                params["text"] = json!("\r");
            }
            self.call("Input.dispatchKeyEvent", params).await;
        }
    }

    /// Returns the findings of axe-core that hinder somebody, each with the elements that it is about.
    pub(crate) async fn hindrances(&mut self) -> Vec<String> {
        let axe = self.axe.clone();
        self.call("Runtime.evaluate", json!({"expression": axe})).await;
        // It cannot measure the contrast of text in pictures, which has the colour of other text.
        let found = self
            .evaluate(
                "axe.run().then(ran => ({passes: ran.passes.length, found: ran.violations.concat(ran.incomplete)
                    .filter(one => ['serious', 'critical'].includes(one.impact))
                    .map(one => [one.id, ...one.nodes.map(node => node.html).filter(html => !html.startsWith('<text '))])
                    .filter(one => one.length > 1).map(one => one.join(' '))}))",
            )
            .await;
        assert!(
            found["passes"].as_u64().unwrap() > 10,
            "axe looked at nothing: {found}"
        );
        serde_json::from_value(found["found"].clone()).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
