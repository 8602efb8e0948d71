/* Three kernels that use a network differently, after the ideas of the NAS Parallel Benchmarks; each checks its own result.
 *
 *   mpirun ... kernels ep [MILLIONS]    pairs of normal deviates, counted by rings: computes, and adds up once
 *   mpirun ... kernels cg [SIDE]        conjugate gradients on the 7-point Laplacian of a cube: neighbours and short sums
 *   mpirun ... kernels ft [SIDE]        Fourier transforms of a square, back and forth: everybody sends to everybody
 *
 * Prints one line: KERNEL, ranks, seconds of the kernel alone, ok or WRONG.
 * Build: mpicc -O2 -o kernels kernels.c -lm     (mpicc.openmpi or mpicc.mpich)     */
#include <complex.h>
#include <math.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rank, ranks;

static void* zeros(size_t count, size_t size) {
  void* memory = calloc(count, size);
  if (!memory) MPI_Abort(MPI_COMM_WORLD, 1);
  return memory;
}

static double sum_of_all(double mine) {
  double sum;
  MPI_Allreduce(&mine, &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  return sum;
}

/* ---------------------------------------------------------------- ep */

/* SplitMix64: the n-th number of a block without those before it, so that the result is that of one rank. */
static double uniform(uint64_t n) {
  uint64_t z = (n + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (double)((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1;
}

/* Marsaglia's polar method; a fraction of pi/4 of the pairs lies in the disc, and of these exp(-r*r/2) beyond radius r. */
static int ep(long millions) {
  const uint64_t pairs = (uint64_t)millions * 1000000;
  double ring[8] = {0}, total[8], count = 0;
  for (uint64_t i = pairs * rank / ranks; i < pairs * (rank + 1) / ranks; ++i) {
    const double x = uniform(2 * i), y = uniform(2 * i + 1), t = x * x + y * y;
    if (t > 1 || t == 0) continue;
    const int r = (int)sqrt(-2 * log(t)); /* the radius of the two deviates */
    ++ring[r < 7 ? r : 7];
    ++count;
  }
  MPI_Allreduce(ring, total, 8, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  const double all = sum_of_all(count), tolerance = 6 / sqrt((double)pairs);
  int is_right = fabs(all / (double)pairs - atan(1)) < tolerance;
  for (int r = 0; r < 7; ++r)
    is_right &= fabs(total[r] / all - (exp(-r * r / 2.0) - exp(-(r + 1) * (r + 1) / 2.0))) < tolerance;
  return is_right;
}

/* ---------------------------------------------------------------- cg */

/* A slab of planes of the cube, with a plane of the neighbours' on either side. */
typedef struct {
  int side, planes;
  size_t plane;
} Slab;

static void exchange(const Slab* slab, double* x) {
  const int below = rank > 0 ? rank - 1 : MPI_PROC_NULL, above = rank + 1 < ranks ? rank + 1 : MPI_PROC_NULL;
  const int n = (int)slab->plane;
  MPI_Sendrecv(x + slab->plane, n, MPI_DOUBLE, below, 1, x + slab->plane * (slab->planes + 1), n, MPI_DOUBLE, above, 1,
               MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  MPI_Sendrecv(x + slab->plane * slab->planes, n, MPI_DOUBLE, above, 2, x, n, MPI_DOUBLE, below, 2, MPI_COMM_WORLD,
               MPI_STATUS_IGNORE);
}

static void apply(const Slab* slab, double* x, double* out) {
  const int n = slab->side;
  exchange(slab, x);
  for (int k = 1; k <= slab->planes; ++k)
    for (int j = 0; j < n; ++j)
      for (int i = 0; i < n; ++i) {
        const size_t at = slab->plane * k + (size_t)n * j + i;
        double sum = 6.1 * x[at] - x[at - slab->plane] - x[at + slab->plane];
        if (i > 0) sum -= x[at - 1];
        if (i + 1 < n) sum -= x[at + 1];
        if (j > 0) sum -= x[at - n];
        if (j + 1 < n) sum -= x[at + n];
        out[at] = sum;
      }
}

static double dot(const Slab* slab, const double* a, const double* b) {
  double sum = 0;
  for (size_t i = slab->plane; i < slab->plane * (slab->planes + 1); ++i) sum += a[i] * b[i];
  return sum_of_all(sum);
}

/* Solves for the right-hand side whose solution is 1 everywhere. */
static int cg(long side) {
  const int planes = (int)(side * (rank + 1) / ranks - side * rank / ranks);
  const Slab slab = {(int)side, planes, (size_t)(side * side)};
  const size_t first = slab.plane, end = slab.plane * (planes + 1), all = end + slab.plane;
  double *x = zeros(all, sizeof *x), *r = zeros(all, sizeof *r), *p = zeros(all, sizeof *p), *q = zeros(all, sizeof *q);
  for (size_t i = first; i < end; ++i) p[i] = 1;
  apply(&slab, p, r);
  memcpy(p + first, r + first, (end - first) * sizeof *p);
  double rho = dot(&slab, r, r);
  const double goal = rho * 1e-20;
  for (int step = 0; step < 500 && rho > goal; ++step) {
    apply(&slab, p, q);
    const double alpha = rho / dot(&slab, p, q);
    for (size_t i = first; i < end; ++i) x[i] += alpha * p[i], r[i] -= alpha * q[i];
    const double old = rho;
    rho = dot(&slab, r, r);
    for (size_t i = first; i < end; ++i) p[i] = r[i] + rho / old * p[i];
  }
  double worst = 0, worst_of_all;
  for (size_t i = first; i < end; ++i) worst = fmax(worst, fabs(x[i] - 1));
  MPI_Allreduce(&worst, &worst_of_all, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  free(x), free(r), free(p), free(q);
  return worst_of_all < 1e-6;
}

/* ---------------------------------------------------------------- ft */

typedef double complex Complex;

/* Radix 2, in place; `sign` -1 forth, +1 back (then `n` times too large). */
static void fft(Complex* x, int n, int sign) {
  for (int i = 1, j = 0; i < n; ++i) {
    int bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      const Complex t = x[i];
      x[i] = x[j], x[j] = t;
    }
  }
  for (int length = 2; length <= n; length *= 2) {
    const Complex turn = cexp(sign * 2 * M_PI * I / length);
    for (int i = 0; i < n; i += length) {
      Complex w = 1;
      for (int j = 0; j < length / 2; ++j, w *= turn) {
        const Complex a = x[i + j], b = x[i + j + length / 2] * w;
        x[i + j] = a + b, x[i + j + length / 2] = a - b;
      }
    }
  }
}

/* The square's rows become its columns: a block to each rank. `rows` of n are here. */
static void transpose(Complex* x, Complex* buffer, int n, int rows) {
  for (int to = 0; to < ranks; ++to)
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < rows; ++c) buffer[((size_t)to * rows + c) * rows + r] = x[(size_t)r * n + to * rows + c];
  Complex* in = x;
  MPI_Alltoall(buffer, 2 * rows * rows, MPI_DOUBLE, in, 2 * rows * rows, MPI_DOUBLE, MPI_COMM_WORLD);
  memcpy(buffer, in, sizeof *in * rows * n);
  for (int from = 0; from < ranks; ++from)
    for (int r = 0; r < rows; ++r) memcpy(x + (size_t)r * n + from * rows, buffer + ((size_t)from * rows + r) * rows, sizeof *x * rows);
}

static void transform(Complex* x, Complex* buffer, int n, int rows, int sign) {
  for (int pass = 0; pass < 2; ++pass) {
    for (int r = 0; r < rows; ++r) fft(x + (size_t)r * n, n, sign);
    transpose(x, buffer, n, rows);
  }
}

static int ft(long side) {
  const int n = (int)side, rows = n / ranks;
  if (rows * ranks != n || (n & (n - 1))) {
    if (rank == 0) fprintf(stderr, "kernels: ft takes a power of two that the number of ranks divides\n");
    return 0;
  }
  const size_t count = (size_t)rows * n, offset = count * rank;
  Complex *x = zeros(count, sizeof *x), *buffer = zeros(count, sizeof *x);
  for (size_t i = 0; i < count; ++i) x[i] = uniform(2 * (offset + i)) + I * uniform(2 * (offset + i) + 1);
  const double scale = 1.0 / ((double)n * n);
  for (int round = 0; round < 4; ++round) {
    transform(x, buffer, n, rows, -1);
    transform(x, buffer, n, rows, +1);
    for (size_t i = 0; i < count; ++i) x[i] *= scale;
  }
  double error = 0;
  for (size_t i = 0; i < count; ++i) error += cabs(x[i] - (uniform(2 * (offset + i)) + I * uniform(2 * (offset + i) + 1)));
  free(x), free(buffer);
  return sum_of_all(error) * scale < 1e-9;
}

/* ---------------------------------------------------------------- */

int main(int argc, char** argv) {
  const struct {
    const char* name;
    int (*run)(long);
    long size;
  } known[] = {{"ep", ep, 40}, {"cg", cg, 64}, {"ft", ft, 512}};
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int is_right = 0;
  for (size_t i = 0; i < sizeof known / sizeof *known && argc > 1; ++i) {
    if (strcmp(argv[1], known[i].name) != 0) continue;
    MPI_Barrier(MPI_COMM_WORLD);
    const double start = MPI_Wtime();
    is_right = known[i].run(argc > 2 ? atol(argv[2]) : known[i].size);
    if (rank == 0) printf("%s %d %.3f %s\n", argv[1], ranks, MPI_Wtime() - start, is_right ? "ok" : "WRONG");
  }
  if (rank == 0 && argc < 2) fprintf(stderr, "usage: kernels ep|cg|ft [SIZE]\n");
  MPI_Finalize();
  return is_right ? 0 : 1;
}
