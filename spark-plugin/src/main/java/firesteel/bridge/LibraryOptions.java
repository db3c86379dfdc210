package firesteel.bridge;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * The options of the loader.
 *
 * @param libtorch a folder with libtorch that is used before all others, {@code spark.firesteel.libtorch.path}
 * @param directory the parent of the folders that libraries are loaded from, {@code spark.firesteel.native.directory};
 *     by default {@code firesteel-<user>} in {@code java.io.tmpdir}
 * @param gpu true if this process has its own GPU, so that a libtorch with CUDA is loaded with CUDA
 * @param mklOnAll true if MKL may use its kernels with AVX2 and AVX-512 on processors that are not Intel's,
 *     {@code spark.firesteel.mkl.fastPaths}
 * @param environment the environment variables of the process
 * @param resources finds the resources of the plugin jar and of the natives jar
 */
public record LibraryOptions(
    Optional<Path> libtorch,
    Optional<Path> directory,
    boolean gpu,
    boolean mklOnAll,
    Map<String, String> environment,
    ClassLoader resources) {

  /** Copies the environment. */
  public LibraryOptions {
    environment = Map.copyOf(environment);
  }

  /**
   * Returns options with no folders, no GPU, MKL's fast paths, the environment of this process, and the class path of this class.
   *
   * @return the default options
   */
  public static LibraryOptions defaults() {
    return new LibraryOptions(
        Optional.empty(),
        Optional.empty(),
        false,
        true,
        System.getenv(),
        LibraryOptions.class.getClassLoader());
  }

  /**
   * @param folder a folder with {@code lib/libtorch_cpu.so} and the file {@code build-version} or {@code version.py}
   * @return these options with that folder
   */
  public LibraryOptions withLibtorch(Path folder) {
    return new LibraryOptions(Optional.of(folder), directory, gpu, mklOnAll, environment, resources);
  }

  /**
   * @param folder the parent of the folders that libraries are loaded from; created if it is missing
   * @return these options with that folder
   */
  public LibraryOptions withDirectory(Path folder) {
    return new LibraryOptions(libtorch, Optional.of(folder), gpu, mklOnAll, environment, resources);
  }

  /**
   * @param present true if this process has its own GPU
   * @return these options with that choice
   */
  public LibraryOptions withGpu(boolean present) {
    return new LibraryOptions(libtorch, directory, present, mklOnAll, environment, resources);
  }

  /**
   * @param allowed true if MKL may use its kernels with AVX2 and AVX-512 on processors that are not Intel's
   * @return these options with that choice
   */
  public LibraryOptions withMklOnAll(boolean allowed) {
    return new LibraryOptions(libtorch, directory, gpu, allowed, environment, resources);
  }

  /**
   * @param variables the environment variables
   * @return these options with that environment
   */
  public LibraryOptions withEnvironment(Map<String, String> variables) {
    return new LibraryOptions(libtorch, directory, gpu, mklOnAll, variables, resources);
  }

  /**
   * @param loader the class loader of the jars' resources
   * @return these options with that class loader
   */
  public LibraryOptions withResources(ClassLoader loader) {
    return new LibraryOptions(libtorch, directory, gpu, mklOnAll, environment, loader);
  }
}
