//! Builds the library from the one C file that this crate carries, or finds an installed one.
//!
//! `vendored` wins over `system`: features add up over a whole build, and a library of our own always fits.
//!
//! SPDX-License-Identifier: MIT

use std::env;

fn main() {
    println!("cargo:rerun-if-env-changed=DOCS_RS");
    if env::var_os("DOCS_RS").is_none() {
        link();
    }
}

#[cfg(feature = "vendored")]
fn link() {
    let source = "vendor/sonde.c";
    println!("cargo:rerun-if-changed=vendor");
    if !std::path::Path::new(source).exists() {
        fail("vendor/sonde.c is missing: run bindings/rust/vendor, which makes it from the C sources");
    }
    let mut build = cc::Build::new();
    // A debug build of the numbers would be many times slower and find nothing: those are not the user's bugs.
    build.file(source).include("vendor").std("c11").opt_level(3).debug(false).warnings(false).compile("sonde");
    println!("cargo:include={}/vendor", env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    if env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("unix") {
        println!("cargo:rustc-link-lib=m");
        println!("cargo:rustc-link-lib=pthread");
    }
}

#[cfg(all(feature = "system", not(feature = "vendored")))]
fn link() {
    let kind = if cfg!(feature = "static") { "static" } else { "dylib" };
    println!("cargo:rerun-if-env-changed=SONDE_LIB_DIR");
    if let Ok(folder) = env::var("SONDE_LIB_DIR") {
        println!("cargo:rustc-link-search=native={folder}");
        println!("cargo:rustc-link-lib={kind}=sonde");
        return;
    }
    if cfg!(feature = "static") {
        return link_static();
    }
    if let Err(error) = pkg_config::Config::new().range_version("1.0".."2").probe("sonde") {
        fail(&format!("{error}\n{HINT}"));
    }
}

#[cfg(all(feature = "system", not(feature = "vendored")))]
const HINT: &str = "SONDE_LIB_DIR=FOLDER names the folder of libsonde where pkg-config does not know it";

/// What sonde-static.pc says. The crate pkg-config is no help: it leaves out libraries that are named by a path which
/// does not end in .so, and takes the shared library where the static one lies in a folder of the system. Options for
/// the linker (a path for the loader) stay behind, for cargo hands none of them on from one crate to the next.
#[cfg(all(feature = "system", not(feature = "vendored")))]
fn link_static() {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let wanted = ["--print-errors", "--libs", "sonde-static >= 1.0", "sonde-static < 2"];
    let said = match std::process::Command::new(&program).args(wanted).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(output) => fail(&format!("{}{HINT}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => fail(&format!("{}: {error}\n{HINT}", program.to_string_lossy())),
    };
    for word in said.split_whitespace().filter(|word| !word.starts_with("-Wl,")) {
        let path = std::path::Path::new(word);
        if let Some(folder) = word.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={folder}");
        } else if let Some(library) = word.strip_prefix("-l") {
            println!("cargo:rustc-link-lib={library}");
        } else if let (Some(folder), Some(file)) = (path.parent(), path.file_name()) {
            let kind = if word.ends_with(".a") { "static" } else { "dylib" };
            println!("cargo:rustc-link-search=native={}", folder.display());
            println!("cargo:rustc-link-lib={kind}:+verbatim={}", file.to_string_lossy());
        }
    }
}

#[cfg(not(any(feature = "vendored", feature = "system")))]
fn link() {
    fail("choose a feature: vendored (compile the library) or system (use an installed one)");
}

#[allow(dead_code)] // not every choice of features can fail
fn fail(why: &str) -> ! {
    eprintln!("sonde-sys: {why}");
    std::process::exit(1);
}
