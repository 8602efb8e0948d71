/* What MPI sees of a network: half of a round trip and bandwidth between two ranks, and everybody to everybody.
 *
 *   mpirun -n 2 ... mpi_pairs pingpong      half round trip of 8 bytes, us; bandwidth of 1 MiB messages, MB/s
 *   mpirun -n 4 ... mpi_pairs alltoall      MB/s that each rank sends, 64 KiB to each other one
 *
 * Build: mpicc.openmpi -O2 -o mpi_pairs mpi_pairs.c     */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kSmall = 8, kLarge = 1 << 20, kEach = 64 << 10, kWarm = 20, kPings = 1000, kTransfers = 60, kExchanges = 40 };

static int compare(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

static double round_trip(int rank, char* buffer, int bytes) {
  const double begin = MPI_Wtime();
  if (rank == 0) {
    MPI_Send(buffer, bytes, MPI_CHAR, 1, 0, MPI_COMM_WORLD);
    MPI_Recv(buffer, bytes, MPI_CHAR, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  } else {
    MPI_Recv(buffer, bytes, MPI_CHAR, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Send(buffer, bytes, MPI_CHAR, 0, 0, MPI_COMM_WORLD);
  }
  return MPI_Wtime() - begin;
}

static void pingpong(int rank, char* buffer) {
  static double times[kPings];
  double sum = 0;
  for (int i = 0; i < kWarm; ++i) round_trip(rank, buffer, kSmall);
  for (int i = 0; i < kPings; ++i) times[i] = round_trip(rank, buffer, kSmall) / 2;
  for (int i = 0; i < kWarm; ++i) round_trip(rank, buffer, kLarge);
  for (int i = 0; i < kTransfers; ++i) sum += round_trip(rank, buffer, kLarge);
  qsort(times, kPings, sizeof *times, compare);
  if (rank == 0) printf("%.2f us %.1f MB/s\n", times[kPings / 2] * 1e6, 2e-6 * kLarge * kTransfers / sum);
}

static void alltoall(int rank, int ranks, char* out, char* in) {
  for (int i = 0; i < 3; ++i) MPI_Alltoall(out, kEach, MPI_CHAR, in, kEach, MPI_CHAR, MPI_COMM_WORLD);
  MPI_Barrier(MPI_COMM_WORLD);
  const double begin = MPI_Wtime();
  for (int i = 0; i < kExchanges; ++i) MPI_Alltoall(out, kEach, MPI_CHAR, in, kEach, MPI_CHAR, MPI_COMM_WORLD);
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) printf("%.1f MB/s\n", 1e-6 * kEach * (ranks - 1) * kExchanges / (MPI_Wtime() - begin));
}

int main(int count, char** words) {
  int rank, ranks;
  MPI_Init(&count, &words);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  char* const out = calloc(2, kLarge);
  char* const in = calloc((size_t)ranks, kEach);
  const int known = count == 2 && ranks >= 2;
  if (out == NULL || in == NULL || !known) MPI_Abort(MPI_COMM_WORLD, 1);
  if (strcmp(words[1], "alltoall") == 0) {
    alltoall(rank, ranks, out, in);
  } else {
    pingpong(rank, out);
  }
  MPI_Finalize();
  return 0;
}
