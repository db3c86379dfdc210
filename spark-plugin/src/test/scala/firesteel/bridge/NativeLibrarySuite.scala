package firesteel.bridge

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

class NativeLibrarySuite extends AnyFunSuite {
  private val properties = "firesteel/build.properties" -> "version=9.9\nlibtorchVersion=2.13.0\n"
  private val library = "firesteel/linux-x86_64/libfiresteel.so" -> "library"
  private val standIns = Seq("libcudart.so.13", "libcupti.so.13").map { name =>
    s"firesteel/linux-x86_64/stubs/$name" -> name
  }

  /** Prepares everything for a plugin jar with these entries and a libtorch on disk. */
  private def prepare[A](entries: (String, String)*)(
      body: (Path, LibraryOptions, LibraryOptions => NativeLibrary.Prepared) => A
  ): A = TemporaryFolder.use { folder =>
    val jar = TemporaryFolder.jar(folder.resolve("firesteel.jar"), entries: _*)
    TemporaryFolder.withJars(jar) { resources =>
      val options = LibraryOptions
        .defaults()
        .withResources(resources)
        .withEnvironment(Map.empty[String, String].asJava)
        .withLibtorch(TemporaryFolder.libtorch(folder.resolve("torch"), "2.13.0"))
      body(folder, options, NativeLibrary.prepare(_, folder.resolve("cache")))
    }
  }

  test("library, libtorch and CUDA's stand-ins come together in one folder") {
    prepare((properties +: library +: standIns): _*) { (folder, options, prepared) =>
      val result = prepared(options)
      val made = result.result.folder
      assert(made.getParent == folder.resolve("cache"))
      assert(made.getFileName.toString.startsWith("firesteel-9.9-libtorch-2.13.0-"))
      assert(
        made.toFile.list().toSet == Set(
          "libfiresteel.so",
          "libtorch_cpu.so",
          "libc10.so",
          "libgomp.so.1",
          "libcudart.so.13",
          "libcupti.so.13"
        )
      )
      assert(result.libraries.asScala == Seq(made.resolve("libfiresteel.so")))
      assert(!result.result.cuda)
    }
  }

  test("with a GPU, libtorch with CUDA is linked first where it lies, without stand-ins") {
    prepare((properties +: library +: standIns): _*) { (folder, options, prepared) =>
      val cuda = TemporaryFolder.write(folder.resolve("torch/lib/libtorch_cuda.so"), "cuda")
      val result = prepared(options.withGpu(true))
      assert(result.result.cuda)
      assert(result.libraries.asScala == Seq(cuda, result.result.folder.resolve("libfiresteel.so")))
      assert(result.result.folder.toFile.list().toSeq == Seq("libfiresteel.so"))
      assert(!prepared(options.withGpu(false)).result.cuda)
    }
  }

  test("with a GPU, a libtorch for the CPU is used for the CPU") {
    prepare((properties +: library +: standIns): _*) { (_, options, prepared) =>
      assert(!prepared(options.withGpu(true)).result.cuda)
    }
  }

  test(
    "a jar without its native library, its stand-ins or its properties is refused by what it lacks"
  ) {
    Seq(
      (properties +: standIns) -> "libfiresteel.so",
      Seq(properties, library) -> "libcudart.so.13",
      (library +: standIns) -> "firesteel/build.properties"
    ).foreach { case (entries, missing) =>
      prepare(entries: _*) { (_, options, prepared) =>
        val message = intercept[NativeLibraryException](prepared(options)).getMessage
        assert(message.startsWith("this firesteel.jar was built without its native library ("))
        assert(message.contains(s"$missing is missing"))
      }
    }
  }

  test("a file that cannot be linked is refused with the linker's words and what may help") {
    TemporaryFolder.use { folder =>
      val text = TemporaryFolder.write(folder.resolve("libfiresteel.so"), "no library")
      val error = intercept[NativeLibraryException](NativeLibrary.link(Seq(text).asJava))
      assert(error.getMessage.startsWith(s"cannot load $text: "))
      assert(error.getMessage.contains("spark.firesteel.native.directory"))
    }
  }

  test("the library of this build loads once, whatever is asked for afterwards") {
    val loaded = NativeLibrary.load(LibraryOptions.defaults())
    assert(NativeLibrary.isLoaded)
    assert(Files.isRegularFile(loaded.folder.resolve("libfiresteel.so")))
    val elsewhere = LibraryOptions.defaults().withLibtorch(Path.of("/nonexistent"))
    assert(NativeLibrary.load(elsewhere) eq loaded)
    val description = NativeRuntime.describe()
    assert(description.contains("\"cuda\":false"))
    assert(description.matches(".*\"glibc\":\"2\\.\\d+\".*"))
  }
}
