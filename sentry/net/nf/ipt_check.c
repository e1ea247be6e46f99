/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/ipt_check.c - from a blob of entries to a table
 *
 * Model:   four passes, each trusting the ones before: cut into entries; resolve hooks and jumps to entries; walk from each hook
 *          (loops, depth, which hooks lead to which rule); make the extensions.
 */
#include "sentry/net/nf/ipt.h"

static void rule_fini(struct ipt_rule *r)
{
	for (unsigned i = 0; i < r->nr_matches; i++)
		xt_inst_free(r->match[i]);
	free(r->match);
	xt_inst_free(r->target);
}

void ipt_table_free(struct ipt_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; t->rule && i < t->info.num_entries; i++)
		rule_fini(&t->rule[i]);
	free(t->rule);
	free(t->blob);
	free(t);
}

/* ---- entries -------------------------------------------------------------------------------------------------------- */

static bool entry_ok(const struct ipt_table *t, const uint8_t *e, uint32_t left)
{
	struct linux_xt_ext_hdr h;
	struct ipt_entry_view v;

	if (left < ipt_entry_size(t->family))
		return false;
	v = ipt_view(t->family, e);
	if (v.next_offset > left || v.next_offset % LINUX_XT_ALIGN || v.target_offset % LINUX_XT_ALIGN ||
	    v.target_offset < ipt_entry_size(t->family) || v.target_offset + sizeof(h) > v.next_offset)
		return false;
	if ((v.flags & ~(t->family == NET_AF_INET ? LINUX_IPT_F_MASK : LINUX_IP6T_F_MASK)) || (v.invflags & ~LINUX_IPT_INV_MASK))
		return false;
	memcpy(&h, e + v.target_offset, sizeof(h));
	return h.size >= sizeof(h) && h.size <= v.next_offset - v.target_offset;
}

static int cut_entries(struct ipt_table *t)
{
	uint32_t off = 0, n = 0;

	while (off < t->info.size) {
		if (n == t->info.num_entries || !entry_ok(t, t->blob + off, t->info.size - off))
			return -LINUX_EINVAL;
		t->rule[n].e = t->blob + off;
		t->rule[n].off = off;
		off += ipt_view(t->family, t->blob + off).next_offset;
		n++;
	}
	return n == t->info.num_entries ? 0 : -LINUX_EINVAL;
}

/* The rule that starts at @off; -1: none does. */
static int64_t rule_at(const struct ipt_table *t, uint32_t off)
{
	uint32_t lo = 0, hi = t->info.num_entries;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->rule[mid].off == off)
			return mid;
		if (t->rule[mid].off < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

/* ---- targets of jumps ----------------------------------------------------------------------------------------------- */

static const uint8_t *target_of(const struct ipt_table *t, const struct ipt_rule *r, struct linux_xt_ext_hdr *h)
{
	const uint8_t *at = r->e + ipt_view(t->family, r->e).target_offset;

	memcpy(h, at, sizeof(*h));
	h->name[LINUX_XT_NAME_MAX - 1] = '\0';
	return at;
}

static int resolve_standard(struct ipt_table *t, struct ipt_rule *r, const uint8_t *at, const struct linux_xt_ext_hdr *h)
{
	struct ipt_entry_view v = ipt_view(t->family, r->e);
	struct linux_xt_standard_target s;
	int64_t to;

	if (h->size != sizeof(s) || v.next_offset - v.target_offset != (int)sizeof(s))
		return -LINUX_EINVAL;
	memcpy(&s, at, sizeof(s));
	r->verdict = s.verdict;
	if (s.verdict < 0)
		return s.verdict >= -6 ? 0 : -LINUX_EINVAL;
	to = rule_at(t, (uint32_t)s.verdict);
	if (to < 0)
		return -LINUX_EINVAL;
	r->verdict = (int32_t)to;
	return 0;
}

static int resolve_rule(struct ipt_table *t, struct ipt_rule *r)
{
	struct linux_xt_ext_hdr h;
	const uint8_t *at = target_of(t, r, &h);

	r->is_goto = ipt_view(t->family, r->e).is_goto;
	r->any = ipt_entry_any(t, r->e);
	if (!h.name[0])
		return h.revision ? -LINUX_EINVAL : resolve_standard(t, r, at, &h);
	if (!strcmp(h.name, LINUX_XT_ERROR_TARGET)) {
		if (h.size != sizeof(struct linux_xt_error_target) || !memchr(at + sizeof(h), '\0', 30))
			return -LINUX_EINVAL;
		r->error = true;
		return 0;
	}
	r->verdict = LINUX_XT_RETURN; /* replaced by make_extensions() */
	r->is_goto = false;
	return 0;
}

static bool is_standard(const struct ipt_table *t, const struct ipt_rule *r)
{
	struct linux_xt_ext_hdr h;

	target_of(t, r, &h);
	return !h.name[0];
}

static int resolve_hooks(struct ipt_table *t, const struct linux_ipt_replace *r)
{
	for (unsigned h = 0; h < 5; h++) {
		int64_t e, u;
		const struct ipt_rule *ur;

		if (!(t->info.valid_hooks & 1u << h))
			continue;
		e = rule_at(t, r->hook_entry[h]);
		u = rule_at(t, r->underflow[h]);
		if (e < 0 || u < 0)
			return -LINUX_EINVAL;
		ur = &t->rule[u];
		/* a policy: no condition, and a plain verdict */
		if (!ur->any || !is_standard(t, ur) || (ur->verdict != -1 - NF_ACCEPT && ur->verdict != -1 - NF_DROP))
			return -LINUX_EINVAL;
		t->hook_rule[h] = (uint32_t)e;
		t->underflow_rule[h] = (uint32_t)u;
		t->info.hook_entry[h] = r->hook_entry[h];
		t->info.underflow[h] = r->underflow[h];
	}
	return 0;
}

/* ---- the walk ------------------------------------------------------------------------------------------------------- */

enum { WHITE, GREY, BLACK };

struct frame {
	uint32_t start, at;
};

/* Does a packet that matches @r never come to the next rule by itself? */
static bool ends_chain(const struct ipt_table *t, const struct ipt_rule *r)
{
	return r->error || (r->any && is_standard(t, r) && (r->verdict < 0 || r->is_goto));
}

static bool is_jump(const struct ipt_table *t, const struct ipt_rule *r)
{
	return !r->error && is_standard(t, r) && r->verdict >= 0;
}

static void finish_frame(struct ipt_table *t, const struct frame *f)
{
	for (uint32_t i = f->start; i <= f->at && i < t->info.num_entries; i++)
		if (t->rule[i].colour == GREY)
			t->rule[i].colour = BLACK;
}

/* Depth first from @start. Rules of chains on the path are grey: meeting one again is a loop. */
static int walk_hook(struct ipt_table *t, uint32_t start, uint8_t bit)
{
	struct frame st[IPT_DEPTH_MAX + 1];
	unsigned n = 1;

	st[0] = (struct frame){ start, start };
	while (n) {
		struct frame *f = &st[n - 1];
		struct ipt_rule *r;

		if (f->at >= t->info.num_entries)
			return -LINUX_EINVAL; /* fell off the end */
		r = &t->rule[f->at];
		if (r->colour == WHITE) {
			r->colour = GREY;
			r->hooks |= bit;
			if (is_jump(t, r)) {
				uint32_t to = (uint32_t)r->verdict;

				if (t->rule[to].colour == GREY)
					return -LINUX_ELOOP;
				if (t->rule[to].colour == WHITE) {
					if (n > IPT_DEPTH_MAX)
						return -LINUX_ELOOP;
					st[n++] = (struct frame){ to, to };
					continue;
				}
			}
		} else if (r->colour == BLACK) { /* all behind is known already */
			finish_frame(t, f);
			n--;
			continue;
		} else if (f->at != f->start && r->colour == GREY && !is_jump(t, r)) {
			return -LINUX_ELOOP;
		}
		if (ends_chain(t, r)) {
			finish_frame(t, f);
			n--;
			continue;
		}
		f->at++;
		if (f->at < t->info.num_entries && t->rule[f->at].colour == GREY)
			return -LINUX_ELOOP;
	}
	return 0;
}

static int walk_all(struct ipt_table *t)
{
	int ret = 0;

	for (unsigned h = 0; h < 5 && !ret; h++) {
		if (!(t->info.valid_hooks & 1u << h))
			continue;
		for (uint32_t i = 0; i < t->info.num_entries; i++)
			t->rule[i].colour = WHITE;
		ret = walk_hook(t, t->hook_rule[h], (uint8_t)(1u << h));
	}
	return ret;
}

/* ---- extensions ------------------------------------------------------------------------------------------------------ */

static int make_inst(struct ipt_table *t, const struct ipt_rule *r, const uint8_t *at, bool target, struct xt_inst **out)
{
	struct ipt_entry_view v = ipt_view(t->family, r->e);
	struct xt_where w = { .family = t->family, .proto = v.has_proto ? (uint8_t)v.proto : 0, .hooks = r->hooks, .tables = 1u << t->id,
			      .proto_inv = v.invflags & LINUX_IPT_INV_PROTO };
	const struct xt_ext *x;
	struct linux_xt_ext_hdr h;

	memcpy(&h, at, sizeof(h));
	h.name[LINUX_XT_NAME_MAX - 1] = '\0';
	x = xt_find(t->family, h.name, h.revision, target);
	if (!x)
		return -LINUX_ENOENT;
	t->nr_ct += x->ct;
	t->nr_nat += x->nat;
	return xt_inst_new(x, at + sizeof(h), h.size - (uint32_t)sizeof(h), &w, out);
}

static int count_matches(const struct ipt_table *t, const struct ipt_rule *r, unsigned *out)
{
	uint32_t off = (uint32_t)ipt_entry_size(t->family), end = ipt_view(t->family, r->e).target_offset;
	struct linux_xt_ext_hdr h;
	unsigned n = 0;

	while (off < end) {
		if (end - off < sizeof(h))
			return -LINUX_EINVAL;
		memcpy(&h, r->e + off, sizeof(h));
		if (h.size < sizeof(h) || h.size > end - off || h.size % LINUX_XT_ALIGN)
			return -LINUX_EINVAL;
		off += h.size;
		n++;
	}
	*out = n;
	return 0;
}

static int make_rule(struct ipt_table *t, struct ipt_rule *r)
{
	const uint8_t *at = r->e + ipt_entry_size(t->family);
	struct linux_xt_ext_hdr h;
	unsigned n = 0;
	int ret = count_matches(t, r, &n);

	if (ret)
		return ret;
	r->match = n ? calloc(n, sizeof(r->match[0])) : NULL;
	if (n && !r->match)
		return -LINUX_ENOMEM;
	for (; r->nr_matches < n; r->nr_matches++) {
		ret = make_inst(t, r, at, false, &r->match[r->nr_matches]);
		if (ret)
			return ret;
		memcpy(&h, at, sizeof(h));
		at += h.size;
	}
	at = target_of(t, r, &h);
	return r->error || !h.name[0] ? 0 : make_inst(t, r, at, true, &r->target);
}

int ipt_table_build(struct net_ns *ns, uint8_t family, uint8_t id, const struct linux_ipt_replace *r, const uint8_t *blob,
		    struct ipt_table **out)
{
	struct ipt_table *t = calloc(1, sizeof(*t));
	int ret = 0;

	if (!t)
		return -LINUX_ENOMEM;
	t->ns = ns;
	t->family = family;
	t->id = id;
	strcpy(t->info.name, ipt_tables[id].name);
	t->info.valid_hooks = r->valid_hooks;
	t->info.size = r->size;
	t->blob = malloc(r->size ? r->size : 1);
	t->rule = r->num_entries <= r->size / ipt_entry_size(family) ? calloc(r->num_entries, sizeof(t->rule[0])) : NULL;
	if (!t->blob || !t->rule) {
		ret = !t->rule && r->num_entries > r->size / ipt_entry_size(family) ? -LINUX_EINVAL : -LINUX_ENOMEM;
		goto fail;
	}
	t->info.num_entries = r->num_entries;
	memcpy(t->blob, blob, r->size);
	ret = cut_entries(t);
	for (uint32_t i = 0; !ret && i < t->info.num_entries; i++)
		ret = resolve_rule(t, &t->rule[i]);
	if (!ret)
		ret = resolve_hooks(t, r);
	if (!ret)
		ret = walk_all(t);
	for (uint32_t i = 0; !ret && i < t->info.num_entries; i++)
		ret = make_rule(t, &t->rule[i]);
	if (!ret) {
		*out = t;
		return 0;
	}
fail:
	ipt_table_free(t);
	return ret;
}
