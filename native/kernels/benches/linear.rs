//! Our own products of a Linear layer beside those of libtorch's BLAS: `LIBTORCH=... cargo bench -p firesteel-kernels`.
//!
//! Windows of both alternate, and the least time of each counts, so that a busy machine disturbs little.

use std::ffi::CString;
use std::time::Instant;

use firesteel_kernels::Gemm;
use firesteel_kernels::linear::{self, Shape};

/// The alternating windows, and the runs of each.
const WINDOWS: usize = 25;
const RUNS: usize = 2;

/// A product with a name, for one BLAS or another.
type Product<'a> = (&'a str, &'a mut dyn FnMut(&Gemm));

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|index| (index as f32 * 0.37).sin()).collect()
}

/// Loads libtorch, whose BLAS [`Gemm::find`] then takes.
#[expect(unsafe_code, reason = "loads a library by its path")]
fn load() {
    let Some(folder) = std::env::var_os("LIBTORCH") else { return };
    let path = std::path::Path::new(&folder).join("lib/libtorch_cpu.so");
    let path = CString::new(path.to_string_lossy().as_bytes()).unwrap_or_default();
    // SAFETY: the path ends in a zero byte; libtorch may be loaded at any time.
    unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
}

fn seconds(f: &mut dyn FnMut(&Gemm), gemm: &Gemm) -> f64 {
    let start = Instant::now();
    (0..RUNS).for_each(|_| f(gemm));
    start.elapsed().as_secs_f64() / RUNS as f64
}

fn main() {
    load();
    let (own, blas) = (Gemm::portable(), Gemm::find().of_blas_only());
    println!("BLAS: {}", blas.is_of_blas());
    println!(
        "{:24} {:>10} {:>9} {:>9} {:>6}",
        "rows inputs outputs", "product", "own us", "BLAS us", "ratio"
    );
    for (inputs, outputs) in [(784, 500), (500, 300), (300, 10)] {
        for rows in [1, 4, 8, 16, 24, 32, 64, 128, 256] {
            let shape = Shape { rows, inputs, outputs };
            let (x, w) = (numbers(rows * inputs), numbers(inputs * outputs));
            let (bias, dy) = (numbers(outputs), numbers(rows * outputs));
            let (mut y, mut dx) = (dy.clone(), x.clone());
            let mut dw = w.clone();
            let mut memory = vec![0.0; linear::workspace(&own, shape)];
            let products: [Product<'_>; 3] = [
                ("forward", &mut |gemm| {
                    linear::forward(gemm, shape, &x, &w, Some(&bias), &mut memory, &mut y);
                }),
                ("of_input", &mut |gemm| linear::of_input(gemm, shape, &w, &dy, false, &mut dx)),
                ("of_weight", &mut |gemm| {
                    for some in linear::blocks(gemm, shape) {
                        let rows = some.start * inputs..some.end * inputs;
                        linear::of_weight(gemm, shape, &x, &dy, some, &mut dw[rows]);
                    }
                }),
            ];
            for (name, product) in products {
                let (mut least, mut least_of_blas) = (f64::MAX, f64::MAX);
                for _ in 0..WINDOWS {
                    least = least.min(seconds(product, &own));
                    least_of_blas = least_of_blas.min(seconds(product, &blas));
                }
                let peak = 2.0 * (rows * inputs * outputs) as f64 / least / 1e9;
                println!(
                    "{:24} {name:>10} {:9.1} {:9.1} {:6.2} {peak:6.1} GFLOP/s",
                    format!("{rows} {inputs} {outputs}"),
                    1e6 * least,
                    1e6 * least_of_blas,
                    least_of_blas / least,
                );
            }
        }
    }
}
