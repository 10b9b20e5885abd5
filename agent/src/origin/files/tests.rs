use std::os::unix::fs::symlink;

use http_body_util::Empty;

use super::*;

fn site() -> (tempfile::TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("public");
    for folder in ["", "with-index", "plain", ".git", ".well-known"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    for (file, text) in [
        ("a b.txt", "text"),
        ("with-index/index.html", "<p>index"),
        ("plain/one", "1"),
        (".git/config", "secret"),
        (".env", "secret"),
        (".well-known/x", "known"),
        ("../outside", "secret"),
    ] {
        std::fs::write(root.join(file), text).unwrap();
    }
    symlink("../outside", root.join("out")).unwrap();
    symlink(".env", root.join("env")).unwrap();
    symlink("a b.txt", root.join("in")).unwrap();
    let files = Files::open(&root).unwrap();
    (dir, files)
}

async fn get(files: &Files, method: Method, path: &str) -> (StatusCode, String, Response<()>) {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let (parts, body) = files.answer(request).await.unwrap().into_parts();
    let text = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap();
    (parts.status, text, Response::from_parts(parts, ()))
}

#[tokio::test]
async fn files_indexes_and_listings_are_served() {
    let (_dir, files) = site();
    for (path, text) in [
        ("/a%20b.txt", "text"),
        ("/in", "text"),
        ("/with-index/", "<p>index"),
        ("/.well-known/x", "known"),
    ] {
        let (status, body, _) = get(&files, Method::GET, path).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, text), "{path}");
    }
    let (status, body, _) = get(&files, Method::GET, "/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("a%20b.txt") && body.contains("plain/") && !body.contains(".git"));
    let (status, _, response) = get(&files, Method::GET, "//plain").await;
    assert_eq!(status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(response.headers()[header::LOCATION], "/plain/");
}

#[tokio::test]
async fn what_is_hidden_or_outside_is_not_there() {
    let (_dir, files) = site();
    for path in [
        "/.env",
        "/.git/config",
        "/.git/",
        "/env",
        "/out",
        "/../outside",
        "/%2e%2e/outside",
        "/none",
    ] {
        let (status, body, _) = get(&files, Method::GET, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(!body.contains("secret"));
    }
    let (status, ..) = get(&files, Method::POST, "/a%20b.txt").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}
