//! Single layers, with their allocations: `cargo bench --bench layers`.

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}
