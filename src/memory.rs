//! How the program asks the system for memory.
//!
//! **Invariants.** This is the only place of the program with code that the compiler cannot check.
//!
//! The allocator of glibc has a store of free memory for each thread, up to eight for each processor, and what one of them keeps no other may
//! use. Ocm has large buffers in many threads and uses them again itself; with two stores it takes a third less memory and no more time.

/// Asks for memory with little left over, in a program that has not begun anything else.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "mallopt(3) takes two numbers and is called before there are threads")]
pub(crate) fn keep_little() {
    // SAFETY: no thread was started yet, as mallopt(3) wants it, and it knows this parameter.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Other allocators are left as they are.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn keep_little() {}
