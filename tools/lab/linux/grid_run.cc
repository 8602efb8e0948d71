#include "tools/lab/linux/grid_run.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace wow::lab {

namespace json = boost::json;

namespace {

// The number of the next pair, seen by all cells.
class SharedCounter {
 public:
  SharedCounter() {
    void* const at = mmap(nullptr, sizeof(std::atomic<std::size_t>), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) fail_with_errno("no shared memory");
    next_ = new (at) std::atomic<std::size_t>(0);
  }
  ~SharedCounter() { munmap(next_, sizeof *next_); }
  std::size_t take() { return next_->fetch_add(1); }

 private:
  std::atomic<std::size_t>* next_;
};

// A line for each pair: its number and its row. Shorter than PIPE_BUF, so that lines stay whole.
constexpr std::size_t kNoteMax = 500;

int be_cell(const std::vector<std::pair<GridKind, GridKind>>& pairs, const GridCellOptions& options,
            SharedCounter& counter, int out) {
  GridCell cell(options);
  for (std::size_t i = counter.take(); i < pairs.size(); i = counter.take()) {
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
  SharedCounter counter;
  Pipe lines = make_pipe();
  std::vector<pid_t> running;
  for (std::size_t n = 0; n < std::min(cells, pairs.size()); ++n) {
    running.push_back(fork_to([&] {
      die_with_parent();
      lines.read.reset();
      const Keeper keeper = Keeper::start("grid-" + std::to_string(n + 1));
      if (const int status = prepare(keeper, {}); status != 0) return status;
      const int status =
          keeper.run_inside([&] { return be_cell(pairs, options, counter, lines.write.get()); });
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
