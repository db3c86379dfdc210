//! Compiles the little C++ that reaches a TorchScript module's buffers, against the headers of the libtorch that tch links.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=src/script.cpp");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Some(libtorch) = env::var_os("LIBTORCH").map(PathBuf::from) else {
        eprintln!("LIBTORCH is not set: it names the folder of libtorch's headers and libraries");
        std::process::exit(1);
    };
    cc::Build::new()
        .cpp(true)
        .pic(true)
        .std("c++17")
        .warnings(false)
        // It only forwards calls to libtorch.
        .opt_level(0)
        .debug(false)
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .include(libtorch.join("include"))
        .include(libtorch.join("include/torch/csrc/api/include"))
        .file("src/script.cpp")
        .compile("firesteel_script");
}
