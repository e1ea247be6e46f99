/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/xt.c - extensions by name; their instances in rules
 */
#include "sentry/net/nf/xt.h"

struct rows {
	const struct xt_ext *e;
	unsigned n;
};

static struct rows rows_of(unsigned i)
{
	const struct rows all[] = {
		{ xt_matches, xt_nr_matches }, { xt_ct_matches, xt_nr_ct_matches },
		{ xt_targets, xt_nr_targets }, { xt_nat_targets, xt_nr_nat_targets },
	};

	return i < ARRAY_SIZE(all) ? all[i] : (struct rows){ 0 };
}

static bool row_fits(const struct xt_ext *e, uint8_t family, const char *name, bool target)
{
	return e->target == target && (e->families & (family == NET_AF_INET ? XT_V4 : XT_V6)) && !strcmp(e->name, name);
}

const struct xt_ext *xt_find(uint8_t family, const char *name, uint8_t revision, bool target)
{
	for (unsigned k = 0; rows_of(k).e; k++)
		for (unsigned i = 0; i < rows_of(k).n; i++) {
			const struct xt_ext *e = &rows_of(k).e[i];

			if (e->revision == revision && row_fits(e, family, name, target))
				return e;
		}
	return NULL;
}

int xt_best_revision(uint8_t family, const char *name, bool target)
{
	int best = -1;

	for (unsigned k = 0; rows_of(k).e; k++)
		for (unsigned i = 0; i < rows_of(k).n; i++)
			if (row_fits(&rows_of(k).e[i], family, name, target))
				best = MAX(best, (int)rows_of(k).e[i].revision);
	return best;
}

static int check_place(const struct xt_ext *e, const struct xt_where *w)
{
	if (e->hooks && (w->hooks & ~(uint32_t)e->hooks))
		return -LINUX_EINVAL;
	if (e->tables && (w->tables & ~(uint32_t)e->tables))
		return -LINUX_EINVAL;
	if (e->proto && (e->proto != w->proto || w->proto_inv))
		return -LINUX_EINVAL;
	return 0;
}

int xt_inst_new(const struct xt_ext *e, const void *info, uint32_t size, const struct xt_where *w, struct xt_inst **out)
{
	struct xt_inst *i;
	int ret;

	if (size != ALIGN_UP((uint32_t)e->size, LINUX_XT_ALIGN))
		return -LINUX_EINVAL;
	ret = check_place(e, w);
	if (ret)
		return ret;
	i = calloc(1, sizeof(*i) + size);
	if (!i)
		return -LINUX_ENOMEM;
	i->ext = e;
	i->size = size;
	mutex_init(&i->mu);
	memcpy(i->info, info, size);
	if (e->state_size && !(i->state = calloc(1, e->state_size)))
		ret = -LINUX_ENOMEM;
	if (!ret && e->check)
		ret = e->check(i, w);
	if (ret) {
		xt_inst_free(i);
		return ret;
	}
	*out = i;
	return 0;
}

void xt_inst_free(struct xt_inst *i)
{
	if (!i)
		return;
	free(i->state);
	free(i);
}
