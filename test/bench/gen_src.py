#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gen_src.py DIR - a medium C program to compile: 40 files of real work for the compiler, and a Makefile"""
import os, sys

d = sys.argv[1]
N = 40
for i in range(N):
    with open(os.path.join(d, f'f{i}.c'), 'w') as f:
        f.write('#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <math.h>\n#include <time.h>\n')
        for j in range(25):
            f.write(f'''
static int cmp{j}(const void *a, const void *b) {{ return *(const int *)a - *(const int *)b + {j}; }}
int work_{i}_{j}(int n) {{
	int *v = malloc(sizeof(int) * (size_t)(n + 1)), s = 0;
	for (int k = 0; k < n; k++) v[k] = (k * {j + 3} + {i}) % 97;
	qsort(v, (size_t)n, sizeof(int), cmp{j});
	for (int k = 0; k < n; k++) s += v[k] > {j} ? v[k] * k : (int)strlen("x{j}") - k;
	free(v);
	return s;
}}
''')
with open(os.path.join(d, 'main.c'), 'w') as f:
    f.write('#include <stdio.h>\n')
    f.write('\n'.join(f'int work_{i}_0(int);' for i in range(N)))
    f.write('\nint main(void) { int s = 0;\n' + '\n'.join(f'\ts += work_{i}_0(100);' for i in range(N)) + '\n\tprintf("%d\\n", s);\n\treturn 0;\n}\n')
with open(os.path.join(d, 'Makefile'), 'w') as f:
    f.write('CFLAGS = -O1\nOBJS = main.o ' + ' '.join(f'f{i}.o' for i in range(N)) + '\nprog: $(OBJS)\n\t$(CC) -o $@ $(OBJS) -lm\n')
