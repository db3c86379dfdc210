package firesteel.bridge

import java.nio.file.{Files, Path}
import java.nio.file.attribute.PosixFilePermissions

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

class LibtorchSearchSuite extends AnyFunSuite {
  private val wanted = "2.13.0"
  private val folderInJar = "firesteel/libtorch/linux-x86_64"

  /** Looks nowhere: no folder, no variable, no jar, and a Python that does not exist. */
  private def nowhere(empty: ClassLoader): LibraryOptions =
    LibraryOptions
      .defaults()
      .withEnvironment(Map("PYSPARK_PYTHON" -> "/nonexistent/python").asJava)
      .withResources(empty)

  private def search[A](test: (Path, LibraryOptions) => A): A =
    TemporaryFolder.use { folder =>
      TemporaryFolder.withJars()(empty => test(folder, nowhere(empty)))
    }

  private def refusal(options: LibraryOptions): String =
    intercept[LibtorchException](LibtorchSearch.find(options, wanted)).getMessage

  /** An executable that answers as Python would where its module torch is. */
  private def python(folder: Path, answer: String): String = {
    val script = TemporaryFolder.write(folder.resolve("bin/python"), s"#!/bin/sh\n$answer\n")
    Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwx------"))
    script.toString
  }

  private def nativesJar(path: Path, version: String, libraries: Seq[String]): java.net.URL = {
    val index = Seq(s"version=$version", "libraries=libc10.so,libtorch_cpu.so") ++
      Seq("libc10.so", "libtorch_cpu.so").flatMap(n => Seq(s"$n.size=4", s"$n.sha256=00"))
    val entries = libraries.map(name => s"$folderInJar/$name" -> "text")
    TemporaryFolder.jar(
      path,
      (s"$folderInJar/index.properties" -> index.mkString("\n")) +: entries: _*
    )
  }

  test("the configured folder wins over LIBTORCH, LIBTORCH over the natives jar, that over Python") {
    TemporaryFolder.use { root =>
      val jar = nativesJar(root.resolve("natives.jar"), wanted, Seq("libc10.so", "libtorch_cpu.so"))
      TemporaryFolder.withJars(jar) { resources =>
        val configured = TemporaryFolder.libtorch(root.resolve("configured"), wanted)
        val environment = TemporaryFolder.libtorch(root.resolve("environment"), wanted)
        val module = TemporaryFolder.libtorch(root.resolve("python/torch"), wanted)
        val pythonOnly = Map("PYSPARK_PYTHON" -> python(root, s"echo $module"))
        val all = nowhere(resources)
          .withEnvironment((pythonOnly + ("LIBTORCH" -> environment.toString)).asJava)
          .withLibtorch(configured)
        def origin(options: LibraryOptions): String = LibtorchSearch.find(options, wanted).origin
        assert(origin(all) == s"spark.firesteel.libtorch.path ($configured)")
        val unconfigured = nowhere(resources).withEnvironment(all.environment)
        assert(origin(unconfigured) == s"the environment variable LIBTORCH ($environment)")
        val withoutVariable = nowhere(resources).withEnvironment(pythonOnly.asJava)
        assert(origin(withoutVariable).startsWith("the natives jar (jar:file:"))
        TemporaryFolder.withJars() { empty =>
          assert(origin(withoutVariable.withResources(empty)).startsWith("the module torch of "))
        }
      }
    }
  }

  test("where nothing is found, the error tells each place and what to do") {
    search { (_, options) =>
      val message = refusal(options)
      Seq(
        "libtorch 2.13.0 was not found",
        "spark.firesteel.libtorch.path is not set",
        "LIBTORCH is not set",
        "natives jar (firesteel-libtorch-cpu-linux-x86_64.jar) is not on the class path",
        "/nonexistent/python could not be run",
        "--jars"
      ).foreach(part => assert(message.contains(part)))
    }
  }

  test("another version is refused by place and version, in a folder and in the variable") {
    search { (folder, options) =>
      val old = TemporaryFolder.libtorch(folder.resolve("old"), "2.11.0+cpu")
      val message = refusal(options.withLibtorch(old))
      assert(
        message == s"spark.firesteel.libtorch.path ($old) is libtorch 2.11.0, but this Firesteel was built " +
          "with libtorch 2.13.0 and runs with that version only"
      )
      val variable = options.withEnvironment(Map("LIBTORCH" -> old.toString).asJava)
      assert(
        refusal(variable).startsWith(s"the environment variable LIBTORCH ($old) is libtorch 2.11.0")
      )
    }
  }

  test("an empty folder, one without libc10 and one without a version are refused") {
    search { (folder, options) =>
      val empty = Files.createDirectory(folder.resolve("empty"))
      assert(refusal(options.withLibtorch(empty)).contains("has no lib/libtorch_cpu.so"))
      assert(
        refusal(options.withLibtorch(folder.resolve("absent")))
          .contains("has no lib/libtorch_cpu.so")
      )
      val partial = TemporaryFolder.libtorch(folder.resolve("partial"), wanted)
      Files.delete(partial.resolve("lib/libc10.so"))
      assert(refusal(options.withLibtorch(partial)).contains("has no lib/libc10.so"))
      val anonymous = TemporaryFolder.libtorch(folder.resolve("anonymous"), wanted)
      Files.delete(anonymous.resolve("build-version"))
      assert(refusal(options.withLibtorch(anonymous)).contains("has an unknown version"))
    }
  }

  test("the version is that of the release: what follows a plus names the build") {
    search { (folder, options) =>
      val build = TemporaryFolder.libtorch(folder.resolve("build"), "2.13.0+cu130")
      assert(LibtorchSearch.find(options.withLibtorch(build), wanted).version == wanted)
    }
  }

  test("a Python package tells its version in version.py and has OpenMP where the wheel puts it") {
    search { (folder, options) =>
      val module = TemporaryFolder.libtorch(folder.resolve("site-packages/torch"), "unused")
      Files.delete(module.resolve("build-version"))
      TemporaryFolder.write(
        module.resolve("version.py"),
        "debug = False\n__version__ = '2.13.0+cpu'\n"
      )
      Files.delete(module.resolve("lib/libgomp.so.1"))
      TemporaryFolder.write(folder.resolve("site-packages/torch.libs/libgomp-a3.so.1.0.0"), "omp")
      val found = LibtorchSearch.find(
        options.withEnvironment(Map("PYSPARK_PYTHON" -> python(folder, s"echo $module")).asJava),
        wanted
      )
      assert(
        found.files.asScala.map(_.name).toSet == Set("libc10.so", "libtorch_cpu.so", "libgomp.so.1")
      )
      assert(!found.cuda.isPresent)
    }
  }

  test("a Python torch of another version is passed over and named in the error") {
    search { (folder, options) =>
      val module = TemporaryFolder.libtorch(folder.resolve("torch"), "2.9.1")
      val environment = Map("PYSPARK_PYTHON" -> python(folder, s"echo $module"))
      assert(
        refusal(options.withEnvironment(environment.asJava))
          .contains(s"($module) has version 2.9.1")
      )
      val without = Map("PYSPARK_PYTHON" -> python(folder, "echo"))
      assert(refusal(options.withEnvironment(without.asJava)).contains("has no module torch"))
      val failing = Map("PYSPARK_PYTHON" -> python(folder, "exit 1"))
      assert(refusal(options.withEnvironment(failing.asJava)).contains("has no module torch"))
    }
  }

  test("a natives jar of another version or with a missing library is refused") {
    TemporaryFolder.use { folder =>
      TemporaryFolder.withJars(nativesJar(folder.resolve("a.jar"), "2.14.0", Nil)) { resources =>
        assert(refusal(nowhere(resources)).contains("is libtorch 2.14.0, but"))
      }
      TemporaryFolder.withJars(nativesJar(folder.resolve("b.jar"), wanted, Seq("libc10.so"))) {
        resources => assert(refusal(nowhere(resources)).contains("lacks libtorch_cpu.so"))
      }
      val broken =
        TemporaryFolder.jar(folder.resolve("c.jar"), s"$folderInJar/index.properties" -> "version=")
      TemporaryFolder.withJars(broken) { resources =>
        assert(refusal(nowhere(resources)).contains("has no 'version'"))
      }
    }
  }

  test("a libtorch with CUDA is found with its CUDA library") {
    search { (folder, options) =>
      val full = TemporaryFolder.libtorch(folder.resolve("full"), wanted)
      val cuda = TemporaryFolder.write(full.resolve("lib/libtorch_cuda.so"), "cuda")
      assert(LibtorchSearch.find(options.withLibtorch(full), wanted).cuda.get == cuda)
    }
  }
}
