// A TorchScript module and the slots of its tensors, for module.rs. No function throws: it returns the text of a failure,
// which the caller frees.

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using torch::jit::IValue;

// One tensor of the module: an attribute of the module or of a submodule.
struct Slot {
  std::string name;
  bool parameter;
  c10::intrusive_ptr<c10::ivalue::Object> object;
  size_t index;
};

// A submodule that computes with a list of its parameters: one of PyTorch's recurrent layers.
struct Listed {
  std::string name;
  std::string kind;
};

struct Script {
  torch::jit::Module module;
  std::vector<Slot> slots;
  std::vector<Listed> listed;
  // The last operation of each tensor that forward returns; empty unless `last` knows it.
  std::vector<std::string> endings;
};

// The tensors in the order of state_dict: a module's parameters, its buffers, then those of the submodules.
void collect(const torch::jit::Module& module, const std::string& prefix, std::vector<Slot>& slots) {
  const auto type = module.type();
  const auto object = module._ivalue();
  for (const bool parameter : {true, false}) {
    for (size_t index = 0; index < type->numAttributes(); ++index) {
      const bool wanted = parameter ? type->is_parameter(index) : type->is_buffer(index);
      const IValue value = object->getSlot(index);
      if (wanted && value.isTensor() && value.toTensor().defined()) {
        slots.push_back({prefix + type->getAttributeName(index), parameter, object, index});
      }
    }
  }
  for (size_t index = 0; index < type->numAttributes(); ++index) {
    const IValue value = object->getSlot(index);
    if (type->getAttribute(index)->is_module() && value.isObject()) {
      collect(torch::jit::Module(value.toObject()), prefix + type->getAttributeName(index) + ".", slots);
    }
  }
}

// The modules that compute with a list of tensors that are their own parameters, rather than with the slots.
void find_lists(const torch::jit::Module& module, const std::string& name, std::vector<Listed>& found) {
  const auto type = module.type();
  const auto object = module._ivalue();
  const auto is_slot = [&](const at::Tensor& tensor) {
    for (size_t index = 0; index < type->numAttributes(); ++index) {
      const IValue value = object->getSlot(index);
      if (type->is_parameter(index) && value.isTensor() && value.toTensor().is_same(tensor)) {
        return true;
      }
    }
    return false;
  };
  bool listed = false;
  for (size_t index = 0; index < type->numAttributes(); ++index) {
    const IValue value = object->getSlot(index);
    if (value.isTensorList()) {
      for (const at::Tensor& tensor : value.toTensorVector()) {
        // A frozen parameter stays as it is.
        listed = listed || (tensor.requires_grad() && is_slot(tensor));
      }
    }
  }
  if (listed) {
    found.push_back({name, type->name() ? type->name()->name() : "module"});
  }
  for (size_t index = 0; index < type->numAttributes(); ++index) {
    const IValue value = object->getSlot(index);
    if (type->getAttribute(index)->is_module() && value.isObject()) {
      const std::string inside = name.empty() ? type->getAttributeName(index) : name + "." + type->getAttributeName(index);
      find_lists(torch::jit::Module(value.toObject()), inside, found);
    }
  }
}

// The activation that produced a value, seen through operations that only move values; empty if there is none.
std::string ending(const torch::jit::Value* value) {
  const torch::jit::Node* node = value->node();
  const std::string kind = node->kind().toQualString();
  for (const char* activation : {"sigmoid", "softmax", "log_softmax"}) {
    if (kind == std::string("aten::") + activation || kind == std::string("aten::") + activation + "_") {
      return activation;
    }
  }
  for (const char* moving :
       {"view", "reshape", "flatten", "squeeze", "unsqueeze", "contiguous", "clone", "transpose", "permute", "t", "to",
        "select", "slice", "dropout"}) {
    if (kind == std::string("aten::") + moving) {
      return ending(node->input(0));
    }
  }
  if (node->kind() == torch::jit::prim::If) {
    // A branch that raises an exception has no value.
    std::string found;
    for (const torch::jit::Block* block : node->blocks()) {
      const torch::jit::Value* result = block->outputs()[value->offset()];
      if (result->node()->kind() == torch::jit::prim::Uninitialized) {
        continue;
      }
      const std::string one = ending(result);
      if (one.empty() || (!found.empty() && found != one)) {
        return "";
      }
      found = one;
    }
    return found;
  }
  return "";
}

// The activation that produced each tensor of forward's result.
std::vector<std::string> endings(const torch::jit::Module& module) {
  const auto graph = module.get_method("forward").graph()->copy();
  torch::jit::Inline(*graph);
  std::vector<std::string> found;
  for (const torch::jit::Value* output : graph->outputs()) {
    const auto kind = output->node()->kind();
    if (kind == torch::jit::prim::TupleConstruct || kind == torch::jit::prim::ListConstruct) {
      for (const torch::jit::Value* element : output->node()->inputs()) {
        found.push_back(ending(element));
      }
    } else {
      found.push_back(ending(output));
    }
  }
  return found;
}

// The tensors of a module's result: one, or a tuple or list of them.
std::vector<at::Tensor> tensors(const IValue& value) {
  if (value.isTensor()) {
    return {value.toTensor()};
  }
  if (value.isTensorList()) {
    return value.toTensorVector();
  }
  std::vector<at::Tensor> all;
  bool only_tensors = value.isTuple();
  if (only_tensors) {
    for (const auto& element : value.toTupleRef().elements()) {
      only_tensors = only_tensors && element.isTensor();
      if (only_tensors) {
        all.push_back(element.toTensor());
      }
    }
  }
  if (!only_tensors) {
    throw std::runtime_error(
        "RuntimeError: forward gives a " + value.type()->repr_str() + "; it must give a tensor or a tuple of tensors");
  }
  return all;
}

template <typename Action>
char* guarded(Action action) {
  try {
    action();
    return nullptr;
  } catch (const std::exception& error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("an exception of an unknown type");
  }
}

} // namespace

extern "C" {

void firesteel_script_free_text(char* text) {
  free(text);
}

char* firesteel_script_load(const char* archive, size_t size, Script** script) {
  return guarded([&] {
    std::istringstream stream(std::string(archive, size));
    auto loaded = std::make_unique<Script>(Script{torch::jit::load(stream, c10::Device(c10::kCPU)), {}, {}, {}});
    collect(loaded->module, "", loaded->slots);
    find_lists(loaded->module, "", loaded->listed);
    loaded->endings = endings(loaded->module);
    *script = loaded.release();
  });
}

void firesteel_script_free(Script* script) {
  delete script;
}

size_t firesteel_script_count(const Script* script) {
  return script->slots.size();
}

const char* firesteel_script_name(const Script* script, size_t index) {
  return script->slots[index].name.c_str();
}

bool firesteel_script_is_parameter(const Script* script, size_t index) {
  return script->slots[index].parameter;
}

size_t firesteel_script_listed_count(const Script* script) {
  return script->listed.size();
}

const char* firesteel_script_listed_name(const Script* script, size_t index) {
  return script->listed[index].name.c_str();
}

const char* firesteel_script_listed_kind(const Script* script, size_t index) {
  return script->listed[index].kind.c_str();
}

size_t firesteel_script_ending_count(const Script* script) {
  return script->endings.size();
}

const char* firesteel_script_ending(const Script* script, size_t index) {
  return script->endings[index].c_str();
}

// Returns a new reference to the current tensor of a slot.
char* firesteel_script_get(const Script* script, size_t index, at::Tensor** tensor) {
  return guarded([&] {
    const Slot& slot = script->slots[index];
    *tensor = new at::Tensor(slot.object->getSlot(slot.index).toTensor());
  });
}

// Sets the tensor of a slot, without a copy.
char* firesteel_script_set(Script* script, size_t index, const at::Tensor* tensor) {
  return guarded([&] {
    const Slot& slot = script->slots[index];
    slot.object->setSlot(slot.index, IValue(*tensor));
  });
}

char* firesteel_script_train(Script* script, bool on) {
  return guarded([&] { script->module.train(on); });
}

// Runs `forward`; returns new references to its results, in an array for `firesteel_script_free_outputs`.
char* firesteel_script_forward(
    Script* script, const at::Tensor* const* inputs, size_t count, at::Tensor*** outputs, size_t* output_count) {
  return guarded([&] {
    // The optimising executor specialises a graph on the shapes of its first runs, which the last mini-batch breaks.
    const torch::jit::GraphOptimizerEnabledGuard plain(false);
    std::vector<IValue> arguments;
    for (size_t index = 0; index < count; ++index) {
      arguments.emplace_back(*inputs[index]);
    }
    const auto found = tensors(script->module.forward(std::move(arguments)));
    auto** array = new at::Tensor*[found.size()];
    for (size_t index = 0; index < found.size(); ++index) {
      array[index] = new at::Tensor(found[index]);
    }
    *outputs = array;
    *output_count = found.size();
  });
}

// Frees the array, not the tensors.
void firesteel_script_free_outputs(at::Tensor** outputs) {
  delete[] outputs;
}
}
