package firesteel.bridge;

import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Properties;

/** Loads {@code libfiresteel.so} and the libtorch it needs, once a process. */
public final class NativeLibrary {
  private static final String BUILD = "firesteel/build.properties";
  private static final String PLATFORM_FOLDER = "firesteel/linux-x86_64/";
  private static final String LIBRARY = "libfiresteel.so";
  // The CPU's libtorch of PyPI names two CUDA libraries as needed. A libtorch with CUDA must not find these.
  private static final List<String> STAND_INS = List.of("libcudart.so.13", "libcupti.so.13");

  private static volatile Loaded loaded;

  private NativeLibrary() {}

  /**
   * The libraries that this process has loaded.
   *
   * @param folder the folder that the library was loaded from
   * @param libtorch a description of the place of libtorch
   * @param libtorchVersion the version of libtorch
   * @param cuda true if it was loaded with CUDA
   * @param mklFastPaths true if MKL uses its kernels with AVX2 and AVX-512
   */
  public record Loaded(
      Path folder, String libtorch, String libtorchVersion, boolean cuda, boolean mklFastPaths) {

    private Loaded withMklFastPaths(boolean used) {
      return new Loaded(folder, libtorch, libtorchVersion, cuda, used);
    }
  }

  /**
   * Files ready to be linked.
   *
   * @param result the description of the loaded libraries
   * @param libraries the files to link, in this order
   */
  record Prepared(Loaded result, List<Path> libraries) {}

  /**
   * Loads the library unless this process has it already; the options of the first successful call count.
   *
   * @param options the places to search and the libraries to load
   * @return the loaded libraries
   * @throws NativeLibraryException when this machine or this jar does not support it
   * @throws LibtorchException when libtorch is missing or of another version
   */
  public static Loaded load(LibraryOptions options) {
    Loaded current = loaded;
    return current != null ? current : loadOnce(options);
  }

  /** Loads the library with {@link LibraryOptions#defaults()} unless this process has it already. */
  public static void ensureLoaded() {
    if (loaded == null) {
      loadOnce(LibraryOptions.defaults());
    }
  }

  /**
   * Returns true if the library is loaded.
   *
   * @return true from the end of the first successful {@link #load} on
   */
  public static boolean isLoaded() {
    return loaded != null;
  }

  private static synchronized Loaded loadOnce(LibraryOptions options) {
    if (loaded == null) {
      Platform.current().check();
      Path directory = options.directory().orElseGet(NativeLibrary::sharedDirectory);
      Prepared prepared = prepare(options, directory);
      link(prepared.libraries());
      Shutdown.register();
      NativeBridge.startLogs();
      loaded = prepared.result().withMklFastPaths(NativeBridge.startMkl(options.mklOnAll()));
    }
    return loaded;
  }

  private static Path sharedDirectory() {
    return LibraryFolder.privateDirectory(
        Path.of(System.getProperty("java.io.tmpdir")), System.getProperty("user.name", ""));
  }

  /** Prepares the linking: finds libtorch, checks its version, builds the folder. */
  static Prepared prepare(LibraryOptions options, Path directory) {
    ClassLoader resources = options.resources();
    Properties build = buildProperties(resources);
    LibraryFile library = packed(resources, LIBRARY, "");
    Libtorch libtorch = LibtorchSearch.find(options, build.getProperty("libtorchVersion"));
    Optional<Path> cuda = libtorch.cuda().filter(path -> options.gpu());
    List<LibraryFile> files = new ArrayList<>();
    List<Path> libraries = new ArrayList<>();
    files.add(library);
    if (cuda.isPresent()) {
      // Not linked from the folder: it finds CUDA beside it, and the rest of libtorch is then found by its SONAME.
      libraries.add(cuda.get());
    } else {
      files.addAll(libtorch.files());
      for (String name : STAND_INS) {
        if (files.stream().noneMatch(file -> file.name().equals(name))) {
          files.add(packed(resources, name, "stubs/"));
        }
      }
    }
    String name = "firesteel-" + build.getProperty("version") + "-libtorch-" + libtorch.version();
    Path folder = LibraryFolder.assemble(directory, name, files);
    libraries.add(folder.resolve(LIBRARY));
    return new Prepared(
        new Loaded(folder, libtorch.origin(), libtorch.version(), cuda.isPresent(), false),
        libraries);
  }

  private static Properties buildProperties(ClassLoader resources) {
    Properties properties = new Properties();
    try (InputStream in = resources.getResourceAsStream(BUILD)) {
      if (in == null) {
        throw incomplete(BUILD);
      }
      properties.load(in);
      return properties;
    } catch (IOException e) {
      throw new NativeLibraryException("cannot read " + BUILD + " of firesteel.jar: " + e, e);
    }
  }

  private static LibraryFile packed(ClassLoader resources, String name, String folder) {
    String path = PLATFORM_FOLDER + folder + name;
    URL source = resources.getResource(path);
    if (source == null) {
      throw incomplete(path);
    }
    try {
      return LibraryFile.Packed.of(name, source);
    } catch (IOException e) {
      throw new NativeLibraryException("cannot read " + source + ": " + e, e);
    }
  }

  private static NativeLibraryException incomplete(String resource) {
    return new NativeLibraryException(
        "this firesteel.jar was built without its native library (" + resource
            + " is missing); take a released jar, or build one with `make jar`");
  }

  static void link(List<Path> libraries) {
    for (Path library : libraries) {
      try {
        System.load(library.toAbsolutePath().toString());
      } catch (UnsatisfiedLinkError e) {
        throw new NativeLibraryException(
            "cannot load " + library + ": " + e.getMessage()
                + ". If its file system allows no execution, set spark.firesteel.native.directory to a folder on"
                + " another one. If another class loader of this JVM has loaded it, give firesteel.jar to the whole"
                + " application (--jars, spark.jars), not to a session.",
            e);
      }
    }
  }
}
