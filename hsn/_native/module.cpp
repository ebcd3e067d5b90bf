// Python bindings: arrays are validated, and the kernel runs without the interpreter lock.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cpu.h"
#include "filter.h"
#include "mean_field.h"

#ifndef HSN_MODULE
#define HSN_MODULE portable
#endif

namespace py = pybind11;

namespace hsn {
namespace {

using Floats = py::array_t<float, py::array::c_style>;
using Bytes = py::array_t<std::uint8_t, py::array::c_style>;

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

// Pixel indices, and twice the row indices, fit a uint32.
void check_size(std::size_t height, std::size_t width, std::size_t order) {
  require(height > 0 && width > 0, "an image needs at least one pixel");
  require(order >= 2 && order <= most_order, "from 1 to 31 features are possible");
  require(height <= (std::size_t{1} << 31) / order / width, "too many pixels for one lattice");
}

Radix radix_of(const std::vector<std::int64_t>& digits, const std::vector<std::int32_t>& lowest) {
  require(digits.size() == lowest.size() && digits.size() <= most_order, "`digits` and `lowest` belong together");
  Radix radix;
  radix.order = static_cast<int>(digits.size());
  std::copy(digits.begin(), digits.end(), radix.digit);
  std::copy(lowest.begin(), lowest.end(), radix.lowest);
  return radix;
}

// The integers of the embedding are exact below this limit. NaN fails the comparison.
void check_features(const Floats& features) {
  const float farthest = 4194304.0f / (2.0f * features.shape(2));
  const float* feature = features.data();
  bool near = true;
  for (py::ssize_t i = 0; i < features.size(); ++i) near &= std::abs(feature[i]) < farthest;
  require(near, "features must be finite and small");
}

Points points_of(const Floats& features) {
  require(features.ndim() == 3, "`features` must be (height, width, dimensions)");
  check_size(features.shape(0), features.shape(1), features.shape(2) + 1);
  check_features(features);
  Points points;
  points.height = features.shape(0);
  points.width = features.shape(1);
  points.dimension = static_cast<int>(features.shape(2));
  points.features = features.data();
  return points;
}

Points points_of(std::size_t height, std::size_t width, const std::vector<float>& place, const std::optional<Bytes>& image) {
  require(place.size() == 4, "`place` is top, left, spread in pixels, spread in grey levels");
  Points points;
  points.height = height;
  points.width = width;
  points.top = place[0];
  points.left = place[1];
  points.spread_px = place[2];
  points.spread_colour = place[3];
  const std::size_t dimension = image ? 5 : 2;
  check_size(height, width, dimension + 1);
  const float farthest = 4194304.0f / (2.0f * dimension);
  require(place[0] >= 0 && (place[0] + height) / place[2] < farthest, "rows must be finite and near");
  require(place[1] >= 0 && (place[1] + width) / place[2] < farthest, "columns must be finite and near");
  require(place[2] > 0 && place[3] > 0 && 255 / place[3] < farthest, "spreads must be positive");
  if (image) {
    require(image->ndim() == 3 && static_cast<std::size_t>(image->shape(0)) == height &&
                static_cast<std::size_t>(image->shape(1)) == width && image->shape(2) == 3,
            "`image` must be (height, width, 3)");
    points.image = image->data();
    points.dimension = 5;
  }
  return points;
}

// The requested number of threads, or the number of cores; at most the number of image parts.
int crew_size(int threads, const Tiles& tiles) {
  const unsigned cores = std::thread::hardware_concurrency();
  const std::size_t wanted = threads > 0 ? static_cast<std::size_t>(threads) : std::max(cores, 1u);
  return static_cast<int>(std::min(wanted, tiles.count()));
}

// Call work(std::integral_constant<int, W>) with the narrowest row that holds `channels`.
template <class Work>
void with_width(std::size_t channels, Work&& work) {
  if (channels <= 1) return work(std::integral_constant<int, 1>());
  if (channels <= 4) return work(std::integral_constant<int, 4>());
  if (channels <= 8) return work(std::integral_constant<int, 8>());
  if (channels <= 16) return work(std::integral_constant<int, 16>());
  if (channels <= 32) return work(std::integral_constant<int, 32>());
  if (channels <= 64) return work(std::integral_constant<int, 64>());
  throw std::invalid_argument("at most 64 channels");
}

Normalisation normalization_of(const std::string& name) {
  if (name == "symmetric") return Normalisation::symmetric;
  if (name == "before") return Normalisation::before;
  if (name == "after") return Normalisation::after;
  require(name == "none", "unknown normalization");
  return Normalisation::none;
}

// One term from Python.
struct Given {
  std::optional<Floats> features;  // otherwise position, and color if an image is given
  std::vector<float> place;
  std::optional<Bytes> image;
  std::vector<std::int64_t> digits;
  std::vector<std::int32_t> lowest;
  float weight;
};

Floats mean_field(const Floats& probabilities, const std::vector<std::size_t>& present, const std::vector<Given>& given,
                  const std::string& normalization, const std::vector<float>& penalties, float least, int iterations,
                  float tolerance, int threads) {
  require(probabilities.ndim() == 3, "`probabilities` must be (height, width, classes)");
  Problem problem;
  problem.height = probabilities.shape(0);
  problem.width = probabilities.shape(1);
  problem.classes = probabilities.shape(2);
  problem.probabilities = probabilities.data();
  problem.present = present;
  problem.normalization = normalization_of(normalization);
  problem.penalties = penalties;
  problem.least = least;
  problem.iterations = iterations;
  problem.tolerance = tolerance;
  check_size(problem.height, problem.width, 2);
  require(least > 0 && least <= 1, "`least` must be a probability above 0");
  require(!present.empty(), "at least one class must be present");
  for (std::size_t k : present) require(k < problem.classes, "`present` must name classes");
  require(penalties.empty() || penalties.size() == present.size() * present.size(), "one penalty a pair of classes");
  for (const Given& term : given) {
    require(term.weight >= 0, "weights must not be negative");
    const Points points = term.features ? points_of(*term.features)
                                        : points_of(problem.height, problem.width, term.place, term.image);
    require(points.height == problem.height && points.width == problem.width, "terms must cover the image");
    problem.terms.push_back({points, radix_of(term.digits, term.lowest), term.weight});
    require(problem.terms.back().radix.order == points.dimension + 1, "one digit more than dimensions");
  }
  Floats marginals(std::vector<py::ssize_t>(probabilities.shape(), probabilities.shape() + 3));
  problem.marginals = marginals.mutable_data();

  py::gil_scoped_release release;
  if (present.size() < problem.classes)
    std::fill(problem.marginals, problem.marginals + problem.height * problem.width * problem.classes, 0.0f);
  const Tiles tiles(problem.height, problem.width);
  Crew crew(crew_size(threads, tiles));
  std::vector<std::shared_ptr<const Kernel>> kernels;
  for (const Term& term : problem.terms) kernels.push_back(kernel_for(term, problem.normalization, tiles, crew));
  // Potts needs no channel for the first class: logits are relative to it.
  const std::size_t channels = present.size() - penalties.empty();
  with_width(channels, [&](auto width) { MeanField<width.value>(problem, kernels, tiles, crew).run(); });
  return marginals;
}

// The filter of some points, for any number of channels.
class PointFilter {
 public:
  PointFilter(const Floats& features, const std::vector<std::int64_t>& digits, const std::vector<std::int32_t>& lowest,
              int threads)
      : points_(points_of(features)), radix_(radix_of(digits, lowest)), threads_(threads) {
    require(radix_.order == points_.dimension + 1, "one digit more than dimensions");
    py::gil_scoped_release release;
    tiles_ = std::make_unique<Tiles>(points_.height, points_.width);
    Crew crew(crew_size(threads_, *tiles_));
    lattice_ = std::make_unique<Lattice>(points_, radix_, *tiles_, crew);
    points_.features = nullptr;  // owned by the caller, not needed later
  }

  std::size_t rows() const { return lattice_->rows(); }
  // Number of rows that a blur along all axes visits.
  std::size_t links() const {
    std::size_t sum = 0;
    for (const Chains& chains : lattice_->chains) sum += chains.items.size();
    return sum;
  }

  Floats filter(const Floats& values, bool transposed) const {
    require(values.ndim() == 2 && static_cast<std::size_t>(values.shape(0)) == points_.size(),
            "`values` must be (points, channels)");
    const auto channels = static_cast<std::size_t>(values.shape(1));
    Floats smooth({values.shape(0), values.shape(1)});
    float* to = smooth.mutable_data();
    py::gil_scoped_release release;
    Crew crew(crew_size(threads_, *tiles_));
    constexpr std::size_t most = 16;  // channels at once
    for (std::size_t begin = 0; begin < channels; begin += most)
      with_width(std::min(most, channels - begin), [&](auto width) {
        smooth_channels<width.value>(*lattice_, *tiles_, values.data(), to, begin, std::min(most, channels - begin),
                                     channels, transposed, crew);
      });
    return smooth;
  }

 private:
  Points points_;
  Radix radix_;
  int threads_;
  std::unique_ptr<Tiles> tiles_;
  std::unique_ptr<Lattice> lattice_;
};

}  // namespace
}  // namespace hsn

PYBIND11_MODULE(HSN_MODULE, module) {
  using namespace hsn;
  module.doc() = "The fast twin of hsn.refinement.lattice: see there for what it computes.";
  py::class_<Given>(module, "Term")
      .def(py::init([](std::optional<Floats> features, std::vector<float> place, std::optional<Bytes> image,
                       std::vector<std::int64_t> digits, std::vector<std::int32_t> lowest, float weight) {
             return Given{features, place, image, digits, lowest, weight};
           }),
           py::kw_only(), py::arg("features") = py::none(), py::arg("place") = std::vector<float>(),
           py::arg("image") = py::none(), py::arg("digits"), py::arg("lowest"), py::arg("weight"));
  module.def("flush_denormals", &flush_denormals, py::arg("flush"),
             "Whether this thread counts denormal numbers as 0; for benchmarks. Returns whether it could be set.");
  module.def("release", [] {
    PlaceKernel::shared().release();
    Pool::shared().release();
  }, "Give back the memory kept for the next call.");
  module.def("supports", &cpu_supports, py::arg("level"));
  py::class_<PointFilter>(module, "PointFilter")
      .def(py::init<const Floats&, const std::vector<std::int64_t>&, const std::vector<std::int32_t>&, int>(), py::kw_only(),
           py::arg("features"), py::arg("digits"), py::arg("lowest"), py::arg("threads"))
      .def_property_readonly("rows", &PointFilter::rows)
      .def_property_readonly("links", &PointFilter::links)
      .def("filter", &PointFilter::filter, py::arg("values"), py::kw_only(), py::arg("transposed"));
  module.def("mean_field", &mean_field, py::kw_only(), py::arg("probabilities"), py::arg("present"), py::arg("terms"),
             py::arg("normalization"), py::arg("penalties"), py::arg("least"), py::arg("iterations"),
             py::arg("tolerance"), py::arg("threads"));
}
