//! Compiles the contracts without `protoc`: protox reads them, tonic writes the code.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let descriptors = protox::compile(
        [
            "adit/v1/provider.proto",
            "adit/v1/admin.proto",
            "adit/v1/consent.proto",
            "adit/v1/usage.proto",
        ],
        ["."],
    )?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), prost_bytes(&descriptors))?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed=adit");
    Ok(())
}

fn prost_bytes(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
