package firesteel.bridge;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * Where the loader looks, and what it loads.
 *
 * @param libtorch a folder with libtorch that is used before all others, {@code spark.firesteel.libtorch.path}
 * @param directory the folder that libraries are put together in, {@code spark.firesteel.native.directory}; by default
 *     {@code firesteel-<user>} in {@code java.io.tmpdir}
 * @param gpu whether this process has a GPU to itself, so that a libtorch with CUDA is loaded with CUDA
 * @param environment the environment variables of the process
 * @param resources finds the resources of the plugin jar and of the natives jar
 */
public record LibraryOptions(
    Optional<Path> libtorch,
    Optional<Path> directory,
    boolean gpu,
    Map<String, String> environment,
    ClassLoader resources) {

  /** Copies the environment. */
  public LibraryOptions {
    environment = Map.copyOf(environment);
  }

  /**
   * No folder named, no GPU, the environment of this process, the class path of this class.
   *
   * @return the options of a process that nobody configured
   */
  public static LibraryOptions defaults() {
    return new LibraryOptions(
        Optional.empty(),
        Optional.empty(),
        false,
        System.getenv(),
        LibraryOptions.class.getClassLoader());
  }

  /**
   * @param folder a folder with {@code lib/libtorch_cpu.so} and the file {@code build-version} or {@code version.py}
   * @return these options with that folder
   */
  public LibraryOptions withLibtorch(Path folder) {
    return new LibraryOptions(Optional.of(folder), directory, gpu, environment, resources);
  }

  /**
   * @param folder where libraries are put together; made if it is missing
   * @return these options with that folder
   */
  public LibraryOptions withDirectory(Path folder) {
    return new LibraryOptions(libtorch, Optional.of(folder), gpu, environment, resources);
  }

  /**
   * @param present whether this process has a GPU to itself
   * @return these options with that choice
   */
  public LibraryOptions withGpu(boolean present) {
    return new LibraryOptions(libtorch, directory, present, environment, resources);
  }

  /**
   * @param variables the environment variables to look at
   * @return these options with that environment
   */
  public LibraryOptions withEnvironment(Map<String, String> variables) {
    return new LibraryOptions(libtorch, directory, gpu, variables, resources);
  }

  /**
   * @param loader where the jars' resources are found
   * @return these options with that class loader
   */
  public LibraryOptions withResources(ClassLoader loader) {
    return new LibraryOptions(libtorch, directory, gpu, environment, loader);
  }
}
