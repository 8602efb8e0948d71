#include "tools/lab/linux/grid_run.h"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <optional>

namespace wow::lab {

namespace json = boost::json;

namespace {

// In memory that all cells see.
struct Shared {
  std::atomic<std::size_t> next_pair = 0;
  std::atomic<std::size_t> built = 0;  // cells, or tries to build one
};

class SharedMemory {
 public:
  SharedMemory() {
    void* const at =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) fail_with_errno("no shared memory");
    shared_ = new (at) Shared;
  }
  ~SharedMemory() { munmap(shared_, sizeof *shared_); }
  Shared& operator*() { return *shared_; }

 private:
  Shared* shared_;
};

// One that was killed is not waited for without end.
constexpr auto kBuildLimit = std::chrono::seconds(60);
constexpr int kPauseMilliseconds = 50;

void await_built(const Shared& shared, std::size_t count) {
  const auto limit = std::chrono::steady_clock::now() + count * kBuildLimit;
  while (shared.built < count && std::chrono::steady_clock::now() < limit)
    poll(nullptr, 0, kPauseMilliseconds);
}

// One after another, and no pair is measured before all are there: a pool that is being made keeps
// the machine busy, and that would be measured.
GridCell build_cell(std::size_t n, std::size_t cells, const GridCellOptions& options,
                    Shared& shared) {
  await_built(shared, n);
  std::optional<GridCell> cell;
  try {
    cell.emplace(options);
  } catch (...) {
    ++shared.built;
    throw;
  }
  ++shared.built;
  await_built(shared, cells);
  return std::move(*cell);
}

// A line for each pair: its number and its row. Shorter than PIPE_BUF, so that lines stay whole.
constexpr std::size_t kNoteMax = 500;

int be_cell(GridCell cell, const std::vector<std::pair<GridKind, GridKind>>& pairs, Shared& shared,
            int out) {
  for (std::size_t i = shared.next_pair++; i < pairs.size(); i = shared.next_pair++) {
    GridRow row = cell.measure(pairs[i].first, pairs[i].second);
    row.note = row.note.substr(0, kNoteMax);
    json::object line = row.to_json();
    line["pair"] = i;
    write_all(out, json::serialize(line) + "\n");
  }
  return 0;
}

// A cell that ends too early has said why; what it was at is not known.
GridRow unmeasured(const std::pair<GridKind, GridKind>& pair) {
  GridRow row;
  row.from = pair.first.name;
  row.to = pair.second.name;
  row.path = "unmeasured";
  row.note = "its laboratory broke off";
  return row;
}

}  // namespace

std::vector<GridRow> run_grid(const std::vector<std::pair<GridKind, GridKind>>& pairs,
                              std::size_t cells, const GridCellOptions& options,
                              const PrepareLab& prepare,
                              const std::function<void(const GridRow&)>& on_row) {
  SharedMemory memory;
  Shared& shared = *memory;
  cells = std::min(cells, pairs.size());
  Pipe lines = make_pipe();
  std::vector<pid_t> running;
  for (std::size_t n = 0; n < cells; ++n) {
    running.push_back(fork_bound([&] {
      lines.read.reset();
      const Keeper keeper = Keeper::start("grid-" + std::to_string(n + 1));
      if (const int status = prepare(keeper, {}); status != 0) return status;
      const int status = keeper.run_inside([&] {
        return be_cell(build_cell(n, cells, options, shared), pairs, shared, lines.write.get());
      });
      keeper.end();
      return status;
    }));
  }
  lines.write.reset();
  std::vector<std::optional<GridRow>> rows(pairs.size());
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(lines.read.get(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(n));
    for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos;
         text.erase(0, end + 1)) {
      const json::value line = json::parse(text.substr(0, end));
      const auto row = GridRow::from_json(line.as_object());
      const auto pair = line.at("pair").to_number<std::size_t>();
      if (!row || pair >= rows.size()) continue;
      rows[pair] = row;
      on_row(*row);
    }
  }
  for (const pid_t pid : running) wait_for(pid);
  std::vector<GridRow> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back(rows[i] ? std::move(*rows[i]) : unmeasured(pairs[i]));
  return out;
}

}  // namespace wow::lab
