// A TorchScript module and the places of its tensors, for module.rs. Nothing is thrown: a failure is a text, which its
// receiver frees.

#include <torch/csrc/jit/api/module.h>
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

// One tensor of the module: an attribute of it or of a module inside.
struct Slot {
  std::string name;
  bool parameter;
  c10::intrusive_ptr<c10::ivalue::Object> object;
  size_t index;
};

struct Script {
  torch::jit::Module module;
  std::vector<Slot> slots;
};

// The tensors in the order of state_dict: a module's parameters, its buffers, then those of the modules inside.
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

// The tensors of what a module gives: one, or a tuple or list of them.
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
    auto loaded = std::make_unique<Script>(Script{torch::jit::load(stream, c10::Device(c10::kCPU)), {}});
    collect(loaded->module, "", loaded->slots);
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

// A new reference to the tensor that is in this place now.
char* firesteel_script_get(const Script* script, size_t index, at::Tensor** tensor) {
  return guarded([&] {
    const Slot& slot = script->slots[index];
    *tensor = new at::Tensor(slot.object->getSlot(slot.index).toTensor());
  });
}

// Puts a tensor itself, not a copy, in this place.
char* firesteel_script_set(Script* script, size_t index, const at::Tensor* tensor) {
  return guarded([&] {
    const Slot& slot = script->slots[index];
    slot.object->setSlot(slot.index, IValue(*tensor));
  });
}

char* firesteel_script_train(Script* script, bool on) {
  return guarded([&] { script->module.train(on); });
}

// Runs `forward`; gives new references to what it gives, in an array for `firesteel_script_free_outputs`.
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
