//! Compiles .proto files to a descriptor set, called as prost-build calls protoc:
//! `protoc --include_imports --include_source_info -o OUT -I DIR... FILE...`

use std::{env, error::Error, ffi::OsString, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut includes, mut files, mut out) = (Vec::new(), Vec::new(), None::<OsString>);
    let (mut imports, mut source_info) = (false, false);
    let mut args = env::args_os().skip(1);
    while let Some(arg) = args.next() {
        match arg.to_str().unwrap_or_default() {
            "--version" => {
                println!("libprotoc 31.0 (protox)");
                return Ok(());
            }
            "--include_imports" => imports = true,
            "--include_source_info" => source_info = true,
            "--experimental_allow_proto3_optional" => {}
            "-o" => out = args.next(),
            "-I" => includes.extend(args.next()),
            flag if flag.starts_with('-') => {
                return Err(format!("protoc-shim: {flag} is not supported; install protoc").into());
            }
            _ => files.push(arg),
        }
    }
    let mut compiler = protox::Compiler::new(includes)?;
    compiler
        .include_imports(imports)
        .include_source_info(source_info)
        .open_files(files)?;
    let out = out.ok_or("protoc-shim: -o is missing")?;
    fs::write(out, compiler.encode_file_descriptor_set())?;
    Ok(())
}
