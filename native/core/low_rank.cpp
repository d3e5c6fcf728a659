#include "low_rank.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "matmul.h"

namespace ilr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// One part of the fused term: its columns of y, of x A^T, and its rows of B.
struct Place {
  int64_t row, rows, rank_column, b_row;
};

std::vector<Place> places_of(at::IntArrayRef parts, int64_t rank) {
  std::vector<Place> places;
  int64_t b_row = 0;
  for (size_t i = 0; i < parts.size(); i += 2) {
    places.push_back({parts[i], parts[i + 1], static_cast<int64_t>(i / 2) * rank, b_row});
    b_row += parts[i + 1];
  }
  return places;
}

struct AddLowRank : torch::autograd::Function<AddLowRank> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& y_in, const at::Tensor& x_in, const at::Tensor& a,
                            const at::Tensor& b, const std::vector<int64_t>& parts, double scale) {
    at::Tensor y = y_in;
    const at::Tensor x = x_in.to(a.scalar_type());
    const int64_t rank = b.size(1);
    at::Tensor h = matrix_product(x, a.t()).mul_(scale);  // [T, parts * r]
    for (const Place& p : places_of(parts, rank)) {
      at::Tensor part = y.narrow(1, p.row, p.rows);
      const at::Tensor own = h.narrow(1, p.rank_column, rank), b_t = b.narrow(0, p.b_row, p.rows).t();
      if (y.scalar_type() == a.scalar_type()) {
        matrix_product_into(part, own, b_t, true);
      } else {
        part.add_(matrix_product(own, b_t));
      }
    }
    ctx->mark_dirty({y});
    ctx->save_for_backward({x_in, a, b, h});
    ctx->saved_data["parts"] = parts;
    ctx->saved_data["scale"] = scale;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x_in = saved[0], &a = saved[1], &b = saved[2], &h = saved[3];
    const at::Tensor dy = grads[0].to(a.scalar_type()).contiguous(), x = x_in.to(a.scalar_type());
    const int64_t rank = b.size(1);
    at::Tensor dh = at::empty_like(h), db = at::empty_like(b), da, dx;
    for (const Place& p : places_of(ctx->saved_data["parts"].toIntVector(), rank)) {
      const at::Tensor dpart = dy.narrow(1, p.row, p.rows);
      at::Tensor dh_part = dh.narrow(1, p.rank_column, rank), db_part = db.narrow(0, p.b_row, p.rows);
      matrix_product_into(dh_part, dpart, b.narrow(0, p.b_row, p.rows));
      matrix_product_into(db_part, dpart.t(), h.narrow(1, p.rank_column, rank));  // h holds the scale
    }
    dh.mul_(ctx->saved_data["scale"].toDouble());
    if (ctx->needs_input_grad(2)) da = matrix_product(dh.t(), x);
    if (ctx->needs_input_grad(1)) dx = matrix_product(dh, a).to(x_in.scalar_type());
    return {grads[0], dx, da, db, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor add_low_rank(const at::Tensor& y_TO, const at::Tensor& x_TC, const LowRank& term) {
  std::vector<int64_t> parts;
  for (const LowRank::Part& part : term.parts) parts.insert(parts.end(), {part.row, part.rows});
  return AddLowRank::apply(y_TO, x_TC, term.a_RC, term.b_Or, parts, term.scale);
}

}  // namespace ilr
