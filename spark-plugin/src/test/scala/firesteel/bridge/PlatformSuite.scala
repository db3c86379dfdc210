package firesteel.bridge

import java.nio.file.Path

import org.scalatest.funsuite.AnyFunSuite

class PlatformSuite extends AnyFunSuite {
  private val libc = "/usr/lib/x86_64-linux-gnu/libc.so.6"

  /** A root folder with the parts of a system that are looked at. */
  private def system(
      root: Path,
      mapped: String = libc,
      banner: String = "GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.",
      symbols: String = "GLIBCXX_3.4.28\u0000GLIBCXX_3.4.29\u0000GLIBCXX_3.4.30"
  ): Path = {
    TemporaryFolder.write(
      root.resolve("proc/self/maps"),
      s"""55d0a4c00000-55d0a4c01000 r--p 00000000 fe:00 131 /usr/bin/java
         |7f0000000000-7f0000026000 r--p 00000000 fe:00 132                        $mapped
         |7ffd5a5e1000-7ffd5a602000 rw-p 00000000 00:00 0                          [stack]
         |""".stripMargin
    )
    TemporaryFolder.write(root.resolve(mapped.substring(1)), s"\u007fELF\u0000$banner\n")
    TemporaryFolder.write(root.resolve("usr/lib/x86_64-linux-gnu/libstdc++.so.6"), symbols)
    root
  }

  private def refusal(platform: Platform): String =
    intercept[NativeLibraryException](platform.check()).getMessage

  private def linux(root: Path, libraryPath: String = ""): Platform =
    new Platform("Linux", "amd64", libraryPath, root)

  test("this machine is accepted") {
    Platform.current().check()
  }

  test("another system or processor is refused by name") {
    TemporaryFolder.use { root =>
      val mac = refusal(new Platform("Mac OS X", "aarch64", "", root))
      assert(mac.startsWith("no native library for Mac OS X on aarch64"))
      assert(mac.contains("glibc 2.34"))
      assert(refusal(new Platform("Linux", "aarch64", "", root)).contains("Linux on aarch64"))
    }
  }

  test("a glibc before 2.34 is refused with its version, whatever its file is called") {
    for (file <- Seq(libc, "/lib/x86_64-linux-gnu/libc-2.31.so")) TemporaryFolder.use { root =>
      system(
        root,
        mapped = file,
        banner = "GNU C Library (Ubuntu GLIBC 2.31-0ubuntu9.9) stable release version 2.31."
      )
      assert(refusal(linux(root)).startsWith("this machine's glibc 2.31 is too old"))
    }
  }

  test("glibc 2.34 is accepted") {
    TemporaryFolder.use { root =>
      system(root, banner = "GNU C Library (GNU libc) stable release version 2.34.")
      linux(root).check()
    }
  }

  test("musl is refused by name") {
    TemporaryFolder.use { root =>
      system(root, mapped = "/lib/ld-musl-x86_64.so.1")
      assert(refusal(linux(root)).contains("musl"))
    }
  }

  test("an old libstdc++ is refused by its file, a newer one in LD_LIBRARY_PATH counts first") {
    TemporaryFolder.use { root =>
      system(root, symbols = "GLIBCXX_3.4.28\u0000")
      val message = refusal(linux(root))
      assert(message.contains("libstdc++.so.6 is too old"))
      assert(message.contains("GLIBCXX_3.4.29"))
      TemporaryFolder.write(root.resolve("opt/gcc/libstdc++.so.6"), "GLIBCXX_3.4.29")
      linux(root, libraryPath = ":/nowhere:/opt/gcc").check()
    }
  }

  test("what cannot be found out is left to the linker") {
    TemporaryFolder.use(root => linux(root).check())
  }
}
