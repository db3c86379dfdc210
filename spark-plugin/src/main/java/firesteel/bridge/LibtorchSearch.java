package firesteel.bridge;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Looks for libtorch in the configured folder, in {@code LIBTORCH}, in the natives jar and in Python's {@code torch},
 * in this order. The user chose the first three, so a problem with one of them is an error. Python's is used if its
 * version fits.
 */
final class LibtorchSearch {
  private static final String JAR_FOLDER = "firesteel/libtorch/linux-x86_64/";
  private static final Pattern PYTHON_VERSION =
      Pattern.compile("^__version__\\s*=\\s*['\"]([^'\"]+)['\"]", Pattern.MULTILINE);
  // Finds the package without importing it, which would load all of CUDA.
  private static final String FIND_TORCH =
      "import importlib.util as u; s = u.find_spec('torch');"
          + " print(s.submodule_search_locations[0] if s else '')";
  private static final long PYTHON_SECONDS = 10;

  private final LibraryOptions options;
  private final String wanted;
  private final List<String> attempts = new ArrayList<>();

  private LibtorchSearch(LibraryOptions options, String wanted) {
    this.options = options;
    this.wanted = wanted;
  }

  /**
   * Finds libtorch.
   *
   * @param options the places to search
   * @param wanted the version that the native library was built with
   * @return the first libtorch that is found
   * @throws LibtorchException when there is none, or a chosen one has another version
   */
  static Libtorch find(LibraryOptions options, String wanted) {
    return new LibtorchSearch(options, wanted).find();
  }

  private Libtorch find() {
    return configured()
        .or(this::fromEnvironment)
        .or(this::fromJar)
        .or(this::fromPython)
        .orElseThrow(this::nothing);
  }

  private LibtorchException nothing() {
    return new LibtorchException(
        "libtorch " + wanted + " was not found:\n  " + String.join("\n  ", attempts)
            + "\nAdd firesteel-libtorch-cpu-linux-x86_64.jar to --jars, or set spark.firesteel.libtorch.path to a"
            + " folder with libtorch " + wanted + " on every machine.");
  }

  private Optional<Libtorch> configured() {
    if (options.libtorch().isEmpty()) {
      attempts.add("spark.firesteel.libtorch.path is not set");
      return Optional.empty();
    }
    return Optional.of(chosen("spark.firesteel.libtorch.path", options.libtorch().get()));
  }

  private Optional<Libtorch> fromEnvironment() {
    String folder = options.environment().getOrDefault("LIBTORCH", "");
    if (folder.isEmpty()) {
      attempts.add("the environment variable LIBTORCH is not set");
      return Optional.empty();
    }
    try {
      return Optional.of(chosen("the environment variable LIBTORCH", Path.of(folder)));
    } catch (InvalidPathException e) {
      throw new LibtorchException("the environment variable LIBTORCH is not a path: " + e.getMessage());
    }
  }

  /** Returns the libtorch of a folder that the user named: it must be valid. */
  private Libtorch chosen(String name, Path folder) {
    String origin = name + " (" + folder + ")";
    Path libraries = folder.resolve("lib");
    if (!Files.isRegularFile(libraries.resolve("libtorch_cpu.so"))) {
      throw new LibtorchException(
          origin + " has no lib/libtorch_cpu.so; Firesteel needs a folder with libtorch " + wanted);
    }
    String version =
        versionOf(folder)
            .orElseThrow(
                () ->
                    new LibtorchException(
                        origin + " has an unknown version: it has neither build-version nor version.py;"
                            + " Firesteel needs libtorch " + wanted));
    return folder(checked(origin, version), version, folder);
  }

  private Optional<Libtorch> fromJar() {
    URL index = options.resources().getResource(JAR_FOLDER + "index.properties");
    if (index == null) {
      attempts.add("the natives jar (firesteel-libtorch-cpu-linux-x86_64.jar) is not on the class path");
      return Optional.empty();
    }
    try {
      Properties properties = new Properties();
      try (InputStream in = index.openStream()) {
        properties.load(in);
      }
      String origin = checked("the natives jar (" + index + ")", required(properties, "version", index));
      List<LibraryFile> files = new ArrayList<>();
      for (String name : required(properties, "libraries", index).split(",")) {
        URL source = options.resources().getResource(JAR_FOLDER + name);
        if (source == null) {
          throw new LibtorchException(origin + " lacks " + name + ", which its index names");
        }
        files.add(
            new LibraryFile.Packed(
                name,
                source,
                Long.parseLong(required(properties, name + ".size", index)),
                required(properties, name + ".sha256", index)));
      }
      return Optional.of(new Libtorch(origin, wanted, files, Optional.empty()));
    } catch (IOException | NumberFormatException e) {
      throw new LibtorchException("cannot read " + index + ": " + e);
    }
  }

  private static String required(Properties properties, String key, URL index) {
    String value = properties.getProperty(key, "").strip();
    if (value.isEmpty()) {
      throw new LibtorchException(index + " has no '" + key + "'");
    }
    return value;
  }

  private Optional<Libtorch> fromPython() {
    String python = options.environment().getOrDefault("PYSPARK_PYTHON", "python3");
    Optional<Path> folder = packageOf(python);
    if (folder.isEmpty()) {
      return Optional.empty();
    }
    String origin = "the module torch of " + python + " (" + folder.get() + ")";
    if (!Files.isRegularFile(folder.get().resolve("lib/libtorch_cpu.so"))) {
      attempts.add(origin + " has no lib/libtorch_cpu.so");
      return Optional.empty();
    }
    String version = versionOf(folder.get()).orElse("unknown");
    if (!version.equals(wanted)) {
      attempts.add(origin + " has version " + version);
      return Optional.empty();
    }
    return Optional.of(folder(origin, version, folder.get()));
  }

  private Optional<Path> packageOf(String python) {
    Process process = null;
    try {
      // A path from an archive, such as ./environment/bin/python, is relative to the JVM's working directory.
      String program = python.contains("/") ? Path.of(python).toAbsolutePath().toString() : python;
      ProcessBuilder builder = new ProcessBuilder(program, "-c", FIND_TORCH);
      builder.environment().clear();
      builder.environment().putAll(options.environment());
      process =
          builder
              // A folder named torch in the JVM's working directory must not be found as the module.
              .directory(new File("/"))
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      process.getOutputStream().close();
      if (!process.waitFor(PYTHON_SECONDS, TimeUnit.SECONDS)) {
        attempts.add(python + " did not locate its module torch within " + PYTHON_SECONDS + " s");
        return Optional.empty();
      }
      String answer =
          new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
      if (process.exitValue() != 0 || answer.isEmpty()) {
        attempts.add(python + " has no module torch");
        return Optional.empty();
      }
      return Optional.of(Path.of(answer));
    } catch (IOException | InvalidPathException e) {
      attempts.add(python + " could not be run to locate its module torch (" + e.getMessage() + ")");
      return Optional.empty();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new LibtorchException("interrupted while looking for libtorch " + wanted);
    } finally {
      if (process != null) {
        process.destroyForcibly();
      }
    }
  }

  private String checked(String origin, String version) {
    if (!version.equals(wanted)) {
      throw new LibtorchException(
          origin + " is libtorch " + version + ", but this Firesteel was built with libtorch " + wanted
              + " and runs with that version only");
    }
    return origin;
  }

  /** Returns the version, without the build's name after a plus, of an unpacked libtorch or a Python package. */
  private static Optional<String> versionOf(Path folder) {
    try {
      Path plain = folder.resolve("build-version");
      if (Files.isRegularFile(plain)) {
        return Optional.of(withoutBuild(Files.readString(plain).strip()));
      }
      Path python = folder.resolve("version.py");
      if (Files.isRegularFile(python)) {
        Matcher matcher = PYTHON_VERSION.matcher(Files.readString(python));
        return matcher.find() ? Optional.of(withoutBuild(matcher.group(1))) : Optional.empty();
      }
      return Optional.empty();
    } catch (IOException e) {
      throw new LibtorchException("cannot read the version of libtorch in " + folder + ": " + e);
    }
  }

  private static String withoutBuild(String version) {
    int plus = version.indexOf('+');
    return plus < 0 ? version : version.substring(0, plus);
  }

  private static Libtorch folder(String origin, String version, Path folder) {
    Path libraries = folder.resolve("lib");
    try {
      List<LibraryFile> files = new ArrayList<>();
      for (String name : List.of("libc10.so", "libtorch_cpu.so")) {
        if (!Files.isRegularFile(libraries.resolve(name))) {
          throw new LibtorchException(origin + " has no lib/" + name);
        }
        files.add(LibraryFile.Linked.of(name, libraries.resolve(name)));
      }
      // In lib, or in the folder of a wheel; else the system's own is used.
      for (Path place : List.of(libraries, folder.resolveSibling("torch.libs"))) {
        Optional<Path> openmp = firstIn(place, "libgomp*.so*");
        if (openmp.isPresent()) {
          files.add(LibraryFile.Linked.of("libgomp.so.1", openmp.get()));
          break;
        }
      }
      Path cuda = libraries.resolve("libtorch_cuda.so");
      return new Libtorch(
          origin, version, files, Files.isRegularFile(cuda) ? Optional.of(cuda) : Optional.empty());
    } catch (IOException e) {
      throw new LibtorchException("cannot read " + origin + ": " + e);
    }
  }

  private static Optional<Path> firstIn(Path folder, String pattern) throws IOException {
    if (!Files.isDirectory(folder)) {
      return Optional.empty();
    }
    try (DirectoryStream<Path> found = Files.newDirectoryStream(folder, pattern)) {
      for (Path path : found) {
        return Optional.of(path);
      }
    }
    return Optional.empty();
  }
}
