//! A page in headless Chromium that serves from its own tab.

use std::{fs, process::Output};

use tests::{Dev, Process, program, root_of_repository, run};

use crate::browser::chromium;

/// What the tab answers.
const HANDLER: &str = r#"
const big = size => new ReadableStream({
  pull(controller) {
    const part = new Uint8Array(Math.min(size, 65536)).fill(size ? 97 : 0);
    size -= part.length;
    if (part.length) controller.enqueue(part);
    else controller.close();
  },
});
async function handler(request) {
  const { pathname } = new URL(request.url);
  if (pathname === '/echo') return new Response(request.body ?? 'nothing', { headers: { 'x-method': request.method } });
  if (pathname === '/big') return new Response(big(5_000_000));
  if (pathname === '/fail') throw new Error('on purpose');
  return new Response(`a tab serves ${request.url}`, { headers: { 'content-type': 'text/plain' } });
}
"#;

struct Tab {
    dev: Dev,
    _browser: Process,
    _home: tempfile::TempDir,
    _page: tests::Share,
}

impl Tab {
    fn open() -> Self {
        let dev = Dev::start(&[]);
        let issued = dev.admin(&["token", "issue", "--host", "tab"]);
        let files = dev.data_dir().join("page");
        fs::create_dir(&files).unwrap();
        for name in ["adit.js", "mux.js", "http.js"] {
            let module = root_of_repository().join("clients/browser").join(name);
            fs::copy(module, files.join(name)).unwrap();
        }
        let page = format!(
            "<!doctype html><title>tab</title><script type=module>\nimport {{ serve }} from './adit.js';\n{HANDLER}\n\
             await serve({}, handler, {{ edge: {} }});\n</script>",
            issued["token"], dev.provider["edge"]
        );
        fs::write(files.join("index.html"), page).unwrap();
        let share = dev.share(&["http", files.to_str().unwrap()]);
        let home = tempfile::tempdir().unwrap();
        let ca = dev.data_dir().join("ca.pem");
        let mut command = chromium(home.path(), &[&ca], &share.url_of("https"));
        let browser = Process::start(&mut command);
        dev.admin_until(&["endpoint", "show", "tab"], |shown| {
            shown["placements"]
                .as_array()
                .is_some_and(|all| all.len() == 1)
        });
        Self {
            dev,
            _browser: browser,
            _home: home,
            _page: share,
        }
    }

    fn curl(&self, path: &str, args: &[&str]) -> Output {
        let url = format!("https://tab.localhost:{}{path}", self.dev.https_port());
        let mut curl = program("curl");
        curl.args(["-sS", "--max-time", "60", "--cacert", &self.dev.ca()]);
        run(curl.args(args).arg(url))
    }
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_tab_serves_a_page() {
    let tab = Tab::open();
    let hello = text(&tab.curl("/some/page?x=1", &[]));
    let port = tab.dev.https_port();
    assert_eq!(
        hello,
        format!("a tab serves https://tab.localhost:{port}/some/page?x=1")
    );
    let placed = tab.dev.admin(&["endpoint", "show", "tab"]);
    assert_eq!(placed["placements"][0]["transport"], "websocket");

    let echoed = text(&tab.curl("/echo", &["-i", "--http1.1", "--data-binary", "a=1&b=2"]));
    assert!(
        echoed.contains("x-method: POST") && echoed.ends_with("a=1&b=2"),
        "{echoed}"
    );
    let failed = text(&tab.curl("/fail", &["-i", "--http1.1"]));
    assert!(failed.starts_with("HTTP/1.1 500 "), "{failed}");

    let body = tab.dev.data_dir().join("body");
    fs::write(&body, vec![b'u'; 3_000_000]).unwrap();
    let upload = format!("@{}", body.display());
    let echoed = tab.curl("/echo", &["--data-binary", &upload]);
    assert_eq!(text(&echoed).len(), 3_000_000);

    many_at_once(&tab);
}

/// Large answers beside small ones.
fn many_at_once(tab: &Tab) {
    std::thread::scope(|scope| {
        let large: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| text(&tab.curl("/big", &[])).len()))
            .collect();
        let small: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| text(&tab.curl("/", &["-I"])).contains("200")))
            .collect();
        assert!(small.into_iter().all(|done| done.join().unwrap()));
        for done in large {
            assert_eq!(done.join().unwrap(), 5_000_000);
        }
    });
}
