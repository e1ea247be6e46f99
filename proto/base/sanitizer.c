/* SPDX-License-Identifier: Apache-2.0
 * proto/base/sanitizer.c - options of the sanitizers' runtime in builds with SAN=1
 *
 * Model:   built in and not taken from the environment, which Sentry and gofer start without. No leak check at exit: commands of
 *          one run leave their memory to exit(2), and a confined process cannot make the tracer that the check needs.
 *          abort: the end by a signal is what `runsc` reports as a failure of its own.
 * Source:  the runtimes' weak hooks __asan_default_options(), __ubsan_default_options().
 */
#ifdef SENTRY_ASAN

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

__attribute__((used, visibility("default"))) const char *__asan_default_options(void)
{
	return "detect_leaks=0:abort_on_error=1:disable_coredump=1:handle_segv=1:detect_stack_use_after_return=0:allocator_may_return_null=1:max_allocation_size_mb=256:quarantine_size_mb=64";
}

__attribute__((used, visibility("default"))) const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1:abort_on_error=1";
}

#endif
typedef int sanitizer_file_is_never_empty;
