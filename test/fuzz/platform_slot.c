/* SPDX-License-Identifier: Apache-2.0
 * test/fuzz/platform_slot.c - libFuzzer: what a hostile stub can leave in its shared pages
 *
 * Input:   the first page of a slot and the beginning of its window.
 * Checks:  taking the event, its registers, segments and strings neither reads outside of the slot (AddressSanitizer) nor
 *          believes a length or number that is out of range.
 */
#include "sentry/platform/guest_run.c" /* event_take() is nobody else's business */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct uzygote zygote = { .region = 0x7fe000000000ull };
static struct uspace space = { .z = &zygote, .dead = true, .pidfd = -1 };

static void must(bool c)
{
	if (!c)
		abort();
}

/* What a handler would do with the call. */
static void use_call(struct uthr *t)
{
	char buf[4096];
	long n;

	for (unsigned i = 0; i < 6; i++) {
		n = umem_copy_in_str(&t->u, buf, sizeof(buf), GPTR(t->u.args[i]));
		must(n < (long)sizeof(buf) && n >= -LINUX_ENAMETOOLONG);
		if (n >= 0)
			must(buf[n] == 0);
		umem_copy_in(&t->u, buf, GPTR(t->u.args[i]), t->u.args[(i + 1) % 6] % sizeof(buf));
		umem_copy_in_partial(&t->u, buf, GPTR(t->u.args[i]), sizeof(buf));
	}
	for (unsigned i = 0; i < 40; i++)
		umem_copy_out(&t->u, GPTR(0x1000 + i * 8192), buf, i * 100);
	must(t->nr_outs <= STUB_OUTS_MAX && t->win_used <= SLOT_WINDOW_LEN);
	for (unsigned i = 0; i < t->nr_outs; i++)
		must(t->out[i].off + t->out[i].len <= SLOT_WINDOW_LEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct uthr t;
	char *slot = aligned_alloc(4096, SLOT_SIZE);
	struct guest_regs r;
	enum uevent ev;

	memset(slot, 0, SLOT_SIZE);
	memcpy(slot, data, MIN(len, (size_t)4096));
	if (len > 4096)
		memcpy(slot + SLOT_WINDOW, data + 4096, MIN(len - 4096, (size_t)SLOT_WINDOW_LEN));
	memset(&t, 0, sizeof(t));
	t.u.space = &space;
	t.slot = (struct stub_slot *)slot;
	t.u.sh = &t.slot->sh;
	t.event = SEV_NONE;
	ev = event_take(&t);
	must(t.nr_segs <= STUB_SEGS_MAX && t.win_used <= SLOT_WINDOW_LEN);
	if (ev == UEV_FAULT)
		must(t.u.fault.signo >= 1 && t.u.fault.signo <= 31);
	uthread_get_regs(&t.u, &r);
	must(r.cs == GUEST_CS && r.ss == GUEST_SS);
	uthread_set_regs(&t.u, &r);
	must(t.regs.fs_base < 0x7ffffffff000ull && (t.regs.eflags & ~GUEST_EFLAGS_USER & ~0x202ull) == 0);
	if (ev == UEV_SYSCALL)
		use_call(&t);
	free(slot);
	return 0;
}
