//! Links the one shared library of Firesteel.

fn main() {
    // Its neighbours in the folder that the loader puts together are found first, before LD_LIBRARY_PATH, which a RUNPATH
    // (the linker's newer default) would come after.
    println!("cargo:rustc-link-arg-cdylib=-Wl,-rpath,$ORIGIN,--disable-new-dtags");
    // Threads and exit handlers outlive a class loader, so the library is never unmapped.
    println!("cargo:rustc-link-arg-cdylib=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
