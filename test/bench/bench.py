#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench.py - the table of ratios: runsc against runc in one run

Each round runs every row under every runtime in turn, so that drift of the machine meets all of them; a figure is the median
over the rounds, a ratio the median of the rounds' own ratios. Writes build/bench/bench.md and bench.svg. Rows come from the
modules of MODULES (rows.py says what one has); arguments are row names or patterns ('iperf3*'), or module names.
"""
import argparse, fnmatch, importlib, os, shutil, signal, statistics, sys, tempfile

from rows import Context, MORE_IS_BETTER, TOP, fmt, met, note

MODULES = ['commands', 'network', 'containerd']


def load_modules():
    here = os.path.dirname(os.path.abspath(__file__))
    return {m: importlib.import_module(m) for m in MODULES if os.path.exists(os.path.join(here, m + '.py'))}


def choose(modules, patterns):
    """module name -> names of its rows that are asked for."""
    out = {}
    for name, m in modules.items():
        rows = [r for r in m.ROWS if not patterns or any(fnmatch.fnmatchcase(r, p) or p == name for p in patterns)]
        if rows:
            out[name] = rows
    return out


def run_rounds(modules, wanted, ctx, rounds, figures):
    states, opened = {}, []
    try:
        for name, rows in wanted.items():
            opened.append(name)
            states[name] = modules[name].prepare(ctx, rows)
        for r in range(rounds):
            for name, rows in wanted.items():
                labels = list(ctx.runtimes)
                for label in labels if r % 2 == 0 else labels[::-1]: # who comes first changes
                    for row, value in modules[name].measure(states[name], ctx, rows, label, r):
                        figures.setdefault(row, {}).setdefault(label, {})[r] = value
            print(f'round {r + 1}/{rounds} done', file=sys.stderr, flush=True)
    finally:
        for name in reversed(opened):
            if states.get(name) is not None:
                modules[name].finish(states[name])


def svg(bars, path):
    """A bar per row: ratio to runc, with the target as a tick."""
    h, w, left = 22, 960, 280
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h * len(bars) + 40}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>']
    scale = (w - left - 120) / 3.0
    for i, (name, row, ratio) in enumerate(bars):
        y = 20 + i * h
        arrow = ' (more is better)' if row.unit in MORE_IS_BETTER else ''
        out.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{name}{arrow}</text>')
        out.append(f'<rect x="{left}" y="{y}" width="{min(ratio, 3.0) * scale:.0f}" height="16" fill="{"#4a90d9" if met(row, ratio) else "#d9704a"}"/>')
        out.append(f'<text x="{left + min(ratio, 3.0) * scale + 6:.0f}" y="{y + 13}">{ratio:.2f}</text>')
        if row.target:
            x = left + row.target * scale
            out.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{y - 2}" y2="{y + 18}" stroke="black"/>')
    x = left + scale
    out.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="10" y2="{20 + h * len(bars)}" stroke="#999" stroke-dasharray="3"/>')
    out.append('</svg>')
    with open(path, 'w') as f:
        f.write('\n'.join(out))


def target_text(row):
    if row.target is None:
        return ''
    sign = '&ge;' if row.unit in MORE_IS_BETTER else '&le;'
    return f'{sign} {fmt(row, row.target) if row.absolute else row.target}'


def report(rows, figures, labels, outdir):
    lines = ['| measure | ' + ' | '.join(labels) + ' | runsc / runc | target |', '|---|' + '---|' * (len(labels) + 2)]
    bars = []
    for name, row in rows.items():
        per = figures.get(name, {})
        cells = [fmt(row, statistics.median(per[l].values())) if per.get(l) else '-' for l in labels]
        own, base, ratio = per.get('runsc', {}), per.get('runc', {}), ''
        pairs = [own[r] / base[r] for r in own if base.get(r)]
        if row.absolute:
            if own:
                v = statistics.median(own.values())
                ratio = 'yes' if met(row, v) else '(missed)'
        elif pairs:
            v = statistics.median(pairs)
            v = round(v, 2) # as shown
            ratio = f"{v:.2f}" + ("" if met(row, v) else " (missed)")
            bars.append((name, row, v))
        lines.append(f'| {name} | ' + ' | '.join(cells) + f' | {ratio} | {target_text(row)} |')
    text = '\n'.join(lines) + '\n'
    print(text)
    with open(os.path.join(outdir, 'bench.md'), 'w') as f:
        f.write(text)
    svg(bars, os.path.join(outdir, 'bench.svg'))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)) # the rows' finish() runs then, too
    ap = argparse.ArgumentParser()
    ap.add_argument('--runsc', default=os.path.join(TOP, 'bin/runsc'))
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--runtime', action='append', default=[], help='one more OCI runtime to measure')
    ap.add_argument('--list', action='store_true', help='print the rows and end')
    ap.add_argument('row', nargs='*', help='row, pattern or module; all by default')
    a = ap.parse_args()
    modules = load_modules()
    wanted = choose(modules, a.row)
    rows = {n: modules[m].ROWS[n] for m in wanted for n in wanted[m]}
    if a.list or not rows:
        print('\n'.join(rows))
        return 0 if rows else 1
    names = {'runc': shutil.which('runc'), 'runsc': a.runsc}
    names.update({os.path.basename(r): shutil.which(r) or r for r in a.runtime})
    outdir = os.path.join(TOP, 'build/bench')
    os.makedirs(outdir, exist_ok=True)
    work = tempfile.mkdtemp(prefix='bench.')
    ctx, figures = Context(work, names), {}
    try:
        run_rounds(modules, wanted, ctx, a.rounds, figures)
    except KeyboardInterrupt:
        note('interrupted: the table has what was measured')
    finally:
        ctx.close()
        shutil.rmtree(work, ignore_errors=True)
        report(rows, figures, list(names), outdir)
    return 0


if __name__ == '__main__':
    sys.exit(main())
