package firesteel.bridge;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The machine that loads the library. Its requirements are checked before linking, since the linker's error names only
 * a symbol.
 *
 * @param os the JVM's {@code os.name}
 * @param architecture the JVM's {@code os.arch}
 * @param libraryPath the environment variable {@code LD_LIBRARY_PATH}
 * @param root the root of the file system, {@code /}
 */
record Platform(String os, String architecture, String libraryPath, Path root) {
  private static final String SYSTEMS = "Firesteel runs on Linux x86-64 with glibc 2.34 or later, such as Ubuntu 22.04,"
      + " Debian 12 or RHEL 9";
  private static final int GLIBC_MINOR = 34;
  private static final String CXX_SYMBOLS = "GLIBCXX_3.4.29";
  private static final Pattern GLIBC_FILE = Pattern.compile("\\s(/\\S*/libc(?:\\.so\\.6|-2\\.\\d+\\.so))$");
  private static final Pattern MUSL_FILE = Pattern.compile("\\s/\\S*/ld-musl-[^/]*$");
  private static final Pattern GLIBC_BANNER =
      Pattern.compile("GNU C Library [^\\n]*?version 2\\.(\\d+)");
  private static final Pattern CXX_FILE = Pattern.compile("\\s(/\\S*/libstdc\\+\\+\\.so\\S*)$");
  private static final List<String> CXX_FOLDERS =
      List.of("/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64");

  /** Returns this machine. */
  static Platform current() {
    return new Platform(
        System.getProperty("os.name", ""),
        System.getProperty("os.arch", ""),
        System.getenv().getOrDefault("LD_LIBRARY_PATH", ""),
        Path.of("/"));
  }

  /**
   * Rejects a machine that the library does not run on. Properties that are unknown are left to the linker.
   *
   * @throws NativeLibraryException naming the missing requirement
   */
  void check() {
    if (!os.equals("Linux") || !(architecture.equals("amd64") || architecture.equals("x86_64"))) {
      throw new NativeLibraryException(
          "no native library for " + os + " on " + architecture + ": " + SYSTEMS);
    }
    List<String> mapped = mappedFiles();
    if (mapped.stream().anyMatch(line -> MUSL_FILE.matcher(line).find())) {
      throw new NativeLibraryException("this machine's C library is musl (Alpine): " + SYSTEMS);
    }
    glibcMinor(mapped)
        .filter(minor -> minor < GLIBC_MINOR)
        .ifPresent(
            minor -> {
              throw new NativeLibraryException(
                  "this machine's glibc 2." + minor + " is too old: " + SYSTEMS);
            });
    standardLibrary(mapped)
        .filter(file -> !contains(file, CXX_SYMBOLS))
        .ifPresent(
            file -> {
              throw new NativeLibraryException(
                  file + " is too old, it lacks " + CXX_SYMBOLS + " (libstdc++ of GCC 11): " + SYSTEMS);
            });
  }

  private List<String> mappedFiles() {
    try (Stream<String> lines = Files.lines(root.resolve("proc/self/maps"))) {
      return lines.toList();
    } catch (IOException | UncheckedIOException e) {
      return List.of();
    }
  }

  /** Returns the minor version of this JVM's C library, which has it in a banner. */
  private Optional<Integer> glibcMinor(List<String> mapped) {
    return firstMatch(mapped, GLIBC_FILE)
        .map(file -> GLIBC_BANNER.matcher(text(file)))
        .filter(Matcher::find)
        .map(banner -> Integer.parseInt(banner.group(1)));
  }

  /** Returns the C++ library that this process has loaded, else the first one in the linker's search path. */
  private Optional<Path> standardLibrary(List<String> mapped) {
    return firstMatch(mapped, CXX_FILE)
        .or(
            () ->
                Stream.concat(Stream.of(libraryPath.split(":")), CXX_FOLDERS.stream())
                    .filter(folder -> folder.startsWith("/"))
                    .map(folder -> inRoot(folder).resolve("libstdc++.so.6"))
                    .filter(Files::isRegularFile)
                    .findFirst());
  }

  private Optional<Path> firstMatch(List<String> mapped, Pattern pattern) {
    return mapped.stream()
        .map(pattern::matcher)
        .filter(Matcher::find)
        .map(found -> inRoot(found.group(1)))
        .findFirst();
  }

  private Path inRoot(String absolute) {
    return root.resolve(absolute.substring(1));
  }

  private static boolean contains(Path file, String symbol) {
    String text = text(file);
    return text.isEmpty() || text.contains(symbol);
  }

  /** Returns the file's bytes as Latin-1, or an empty text if it is not readable. */
  private static String text(Path file) {
    try {
      return new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return "";
    }
  }
}
