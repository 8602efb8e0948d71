/* A maximum-likelihood search for a phylogenetic tree, master and workers over PVM.
 *
 *   treesearch ALIGNMENT WORKERS [SECONDS]
 *     ALIGNMENT  sequences of A, C, G, T in PHYLIP's sequential form: a line "COUNT LENGTH", then a line "NAME BASES" each
 *     WORKERS    how many to spawn on the virtual machine; 0 searches alone, without PVM
 *     SECONDS    let the evaluation of a full tree last at least so long (smaller ones by the square of their size): many
 *                slow machines then fit on one
 *
 * Stepwise addition: taxon after taxon is tried on every branch of the tree so far; then nearest-neighbour interchanges as
 * long as one helps. The model is that of Jukes and Cantor (1969), the likelihood by Felsenstein's pruning (1981); each
 * candidate tree gets the best branch lengths. All candidates of a round are independent: that is what workers share.
 * The result does not depend on their number.
 *
 * Build: gcc -O2 -o treesearch treesearch.c -lpvm3 -lm     */
#include <math.h>
#include <pvm3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kTaxaMax = 100, kNodesMax = 2 * kTaxaMax, kSitesMax = 5000, kWorkersMax = 256 };
enum { kTagSetup = 1, kTagTask, kTagResult };

/* Leaves are nodes 0..taxa-1 and have one link; inner nodes have three. */
typedef struct {
  int taxa; /* in the tree so far */
  int inner;
  int link[kNodesMax][3];
  double length[kNodesMax][3];
} Tree;

static int taxa, sites;
static char names[kTaxaMax][32];
static char bases[kTaxaMax][kSitesMax];
static double pace_s;

static void die(const char* sentence, const char* what) {
  fprintf(stderr, "treesearch: %s%s\n", sentence, what);
  exit(1);
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void read_alignment(const char* path) {
  FILE* file = fopen(path, "r");
  if (!file) die("cannot read ", path);
  if (fscanf(file, "%d %d", &taxa, &sites) != 2 || taxa < 4 || taxa > kTaxaMax || sites < 1 || sites >= kSitesMax)
    die("not 4 to 100 sequences of 1 to 4,999 bases: ", path);
  for (int t = 0; t < taxa; ++t) {
    if (fscanf(file, "%31s %4999s", names[t], bases[t]) != 2 || (int)strlen(bases[t]) != sites)
      die("a sequence has another length than the first line says: ", path);
    for (int s = 0; s < sites; ++s) {
      const char* at = strchr("ACGT", bases[t][s]);
      if (!at) die("a sequence has other letters than A, C, G, T: ", path);
      bases[t][s] = (char)(at - "ACGT");
    }
  }
  fclose(file);
}

/* ---------------------------------------------------------------- likelihood */

static int slot_of(const Tree* tree, int node, int neighbour) {
  for (int i = 0; i < 3; ++i)
    if (tree->link[node][i] == neighbour) return i;
  die("a tree does not hold together", "");
  return -1;
}

static double (*rows[kNodesMax])[4]; /* a node's conditional likelihoods, per site */

/* Those of the subtree at `node` seen from `from`, into `out`. */
static void prune(const Tree* tree, int node, int from, double (*out)[4]) {
  if (node < taxa) {
    memset(out, 0, sizeof *out * sites);
    for (int s = 0; s < sites; ++s) out[s][(int)bases[node][s]] = 1;
    return;
  }
  for (int s = 0; s < sites; ++s) out[s][0] = out[s][1] = out[s][2] = out[s][3] = 1;
  for (int i = 0; i < 3; ++i) {
    const int child = tree->link[node][i];
    if (child == from) continue;
    if (!rows[child]) rows[child] = malloc(sizeof *rows[child] * kSitesMax);
    prune(tree, child, node, rows[child]);
    const double e = exp(-4.0 / 3.0 * tree->length[node][i]);
    for (int s = 0; s < sites; ++s) {
      const double* in = rows[child][s];
      const double all = 0.25 * (1 - e) * (in[0] + in[1] + in[2] + in[3]);
      for (int b = 0; b < 4; ++b) out[s][b] *= all + e * in[b];
    }
  }
}

/* The best length of one branch, and the tree's log-likelihood with it. A site's likelihood is a + b e with e = exp(-4/3
 * length), so its logarithm is concave in e: Newton's method, kept inside. */
static double fit_branch(Tree* tree, int u, int slot) {
  static double near[kSitesMax][4], far[kSitesMax][4], a[kSitesMax], b[kSitesMax];
  const int v = tree->link[u][slot];
  prune(tree, u, v, near);
  prune(tree, v, u, far);
  for (int s = 0; s < sites; ++s) {
    double same = 0, x = 0, y = 0;
    for (int base = 0; base < 4; ++base) same += near[s][base] * far[s][base], x += near[s][base], y += far[s][base];
    a[s] = x * y / 16;
    b[s] = same / 4 - a[s];
  }
  double e = exp(-4.0 / 3.0 * tree->length[u][slot]);
  for (int step = 0; step < 8; ++step) {
    double first = 0, second = 0;
    for (int s = 0; s < sites; ++s) {
      const double r = b[s] / (a[s] + b[s] * e);
      first += r;
      second -= r * r;
    }
    if (second == 0) break;
    e -= first / second;
    e = e < 1e-4 ? 1e-4 : e > 0.99999 ? 0.99999 : e;
  }
  tree->length[u][slot] = tree->length[v][slot_of(tree, v, u)] = -0.75 * log(e);
  double sum = 0;
  for (int s = 0; s < sites; ++s) sum += log(a[s] + b[s] * e);
  return sum;
}

/* What an evaluation lasts at least. */
static double time_of(const Tree* tree) { return pace_s * tree->taxa * tree->taxa / (taxa * taxa); }

/* The tree's best log-likelihood, nearly: two rounds over all branches. */
static double evaluate(Tree* tree) {
  const double end = now_s() + time_of(tree);
  double best = -INFINITY;
  for (int round = 0; round < 2; ++round) {
    for (int node = 0; node < taxa + tree->inner; ++node) {
      const int links = node >= taxa ? 3 : node < tree->taxa ? 1 : 0;
      for (int i = 0; i < links; ++i)
        if (tree->link[node][i] > node) best = fit_branch(tree, node, i);
    }
  }
  const double left = end - now_s();
  if (left > 0) {
    const struct timespec nap = {(time_t)left, (long)((left - (time_t)left) * 1e9)};
    nanosleep(&nap, NULL);
  }
  return best;
}

/* ---------------------------------------------------------------- trees */

static void join(Tree* tree, int u, int i, int v, int j, double length) {
  tree->link[u][i] = v;
  tree->link[v][j] = u;
  tree->length[u][i] = tree->length[v][j] = length;
}

static Tree first_tree(void) {
  Tree tree = {.taxa = 3, .inner = 1};
  for (int i = 0; i < 3; ++i) join(&tree, i, 0, taxa, i, 0.1);
  return tree;
}

/* The next taxon on the branch behind u's link. */
static Tree with_taxon(const Tree* old, int u, int slot) {
  Tree tree = *old;
  const int v = old->link[u][slot], inner = taxa + tree.inner++, leaf = tree.taxa++;
  const double half = old->length[u][slot] / 2;
  const int back = slot_of(old, v, u);
  join(&tree, u, slot, inner, 0, half);
  join(&tree, v, back, inner, 1, half);
  join(&tree, leaf, 0, inner, 2, 0.1);
  return tree;
}

/* Swaps a subtree of u with one of v, across the inner branch u-v. */
static Tree interchanged(const Tree* old, int u, int slot, int which) {
  Tree tree = *old;
  const int v = old->link[u][slot], back = slot_of(old, v, u);
  const int i = (slot + 1) % 3, j = (back + 1 + which) % 3;
  const int a = old->link[u][i], b = old->link[v][j];
  join(&tree, u, i, b, slot_of(old, b, v), old->length[v][j]);
  join(&tree, v, j, a, slot_of(old, a, u), old->length[u][i]);
  return tree;
}

/* All trees of the next round: a taxon more, or all interchanges. */
static int candidates(const Tree* tree, Tree* out) {
  int count = 0;
  for (int node = 0; node < taxa + tree->inner; ++node) {
    const int links = node >= taxa ? 3 : node < tree->taxa ? 1 : 0;
    for (int i = 0; i < links; ++i) {
      const int other = tree->link[node][i];
      if (other < node) continue;
      if (tree->taxa < taxa) {
        out[count++] = with_taxon(tree, node, i);
      } else if (node >= taxa) {
        out[count++] = interchanged(tree, node, i, 0);
        out[count++] = interchanged(tree, node, i, 1);
      }
    }
  }
  return count;
}

static void print_subtree(const Tree* tree, int node, int from) {
  const int back = slot_of(tree, node, from);
  if (node < taxa) {
    printf("%s", names[node]);
  } else {
    printf("(");
    for (int i = 1; i < 3; ++i) {
      print_subtree(tree, tree->link[node][(back + i) % 3], node);
      printf(i == 1 ? "," : ")");
    }
  }
  printf(":%.4f", tree->length[node][back]);
}

static void print_tree(const Tree* tree) { /* Newick's form */
  const int inner = tree->link[0][0];
  const int back = slot_of(tree, inner, 0);
  printf("(%s:%.4f,", names[0], tree->length[0][0]);
  print_subtree(tree, tree->link[inner][(back + 1) % 3], inner);
  printf(",");
  print_subtree(tree, tree->link[inner][(back + 2) % 3], inner);
  printf(");\n");
}

/* ---------------------------------------------------------------- PVM */

static void pack(const Tree* tree) {
  const int nodes = taxa + tree->inner;
  pvm_pkint((int*)&tree->taxa, 1, 1);
  pvm_pkint((int*)&tree->inner, 1, 1);
  pvm_pkint((int*)tree->link, 3 * nodes, 1);
  pvm_pkdouble((double*)tree->length, 3 * nodes, 1);
}

static void unpack(Tree* tree) {
  pvm_upkint(&tree->taxa, 1, 1);
  pvm_upkint(&tree->inner, 1, 1);
  pvm_upkint((int*)tree->link, 3 * (taxa + tree->inner), 1);
  pvm_upkdouble((double*)tree->length, 3 * (taxa + tree->inner), 1);
}

static int workers, worker[kWorkersMax];

static void spawn(int wanted) {
  workers = pvm_spawn("treesearch", NULL, PvmTaskDefault, "", wanted, worker);
  if (workers < wanted) die("not all workers could be started: is treesearch in ep= or ~/pvm3/bin/LINUX64 of every host?", "");
  pvm_initsend(PvmDataDefault);
  pvm_pkint(&taxa, 1, 1);
  pvm_pkint(&sites, 1, 1);
  pvm_pkdouble(&pace_s, 1, 1);
  for (int t = 0; t < taxa; ++t) pvm_pkbyte(bases[t], sites, 1);
  pvm_mcast(worker, workers, kTagSetup);
}

static void send_task(int to, const Tree* tree, int index) {
  pvm_initsend(PvmDataDefault);
  pvm_pkint(&index, 1, 1);
  if (index >= 0) pack(tree);
  pvm_send(to, kTagTask);
}

static void work_for(int master) {
  pvm_recv(master, kTagSetup);
  pvm_upkint(&taxa, 1, 1);
  pvm_upkint(&sites, 1, 1);
  pvm_upkdouble(&pace_s, 1, 1);
  for (int t = 0; t < taxa; ++t) pvm_upkbyte(bases[t], sites, 1);
  for (;;) {
    static Tree tree;
    int index;
    pvm_recv(master, kTagTask);
    pvm_upkint(&index, 1, 1);
    if (index < 0) break;
    unpack(&tree);
    double value = evaluate(&tree);
    pvm_initsend(PvmDataDefault);
    pvm_pkint(&index, 1, 1);
    pvm_pkdouble(&value, 1, 1);
    pack(&tree);
    pvm_send(master, kTagResult);
  }
  pvm_exit();
}

/* Evaluates all, by the workers if there are any: each has a task, and one more waiting so that it never waits for us. */
static void evaluate_all(Tree* tree, double* value, int count) {
  int next = 0;
  if (workers == 0)
    for (; next < count; ++next) value[next] = evaluate(&tree[next]);
  for (int round = 0; round < 2; ++round)
    for (int w = 0; w < workers && next < count; ++w, ++next) send_task(worker[w], &tree[next], next);
  for (int done = 0; workers > 0 && done < count; ++done) {
    const int buffer = pvm_recv(-1, kTagResult);
    int bytes, tag, from, index;
    pvm_bufinfo(buffer, &bytes, &tag, &from);
    pvm_upkint(&index, 1, 1);
    pvm_upkdouble(&value[index], 1, 1);
    unpack(&tree[index]);
    if (next < count) send_task(from, &tree[next], next), ++next;
  }
}

/* ---------------------------------------------------------------- the search */

int main(int argc, char** argv) {
  static Tree tried[2 * kNodesMax];
  static double value[2 * kNodesMax];
  const int alone = argc >= 3 && atoi(argv[2]) == 0;
  const int parent = alone || argc >= 3 ? PvmNoParent : pvm_parent();
  if (argc < 3 && parent < 0) die("usage: treesearch ALIGNMENT WORKERS [SECONDS]", "");
  if (parent >= 0) {
    work_for(parent);
    return 0;
  }
  const int wanted = atoi(argv[2]);
  if (wanted < 0 || wanted > kWorkersMax) die("between 0 and 256 workers, not ", argv[2]);
  read_alignment(argv[1]);
  pace_s = argc > 3 ? atof(argv[3]) : 0;
  if (wanted > 0) spawn(wanted);

  const double start = now_s();
  Tree best = first_tree();
  double likelihood = -INFINITY;
  double serial_s = 0;
  int evaluated = 0;
  for (;;) {
    const int was_full = best.taxa == taxa;
    const int count = candidates(&best, tried);
    evaluate_all(tried, value, count);
    evaluated += count;
    serial_s += count * time_of(&tried[0]);
    int top = 0;
    for (int i = 1; i < count; ++i)
      if (value[i] > value[top]) top = i;
    if (was_full && value[top] < likelihood + 1e-6) break;
    best = tried[top];
    likelihood = value[top];
  }
  const double seconds = now_s() - start;
  for (int w = 0; w < workers; ++w) send_task(worker[w], NULL, -1);
  print_tree(&best);
  printf("log-likelihood %.4f, %d trees evaluated by %d workers in %.2f s", likelihood, evaluated, workers, seconds);
  printf(pace_s > 0 ? ", which last %.2f s one after the other\n" : "\n", serial_s);
  if (workers > 0) pvm_exit();
  return 0;
}
