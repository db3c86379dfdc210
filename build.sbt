// The JVM side: `firesteel` (spark-plugin/) and its `examples`. The native library has to be built before
// (`make native`): sbt only copies it into the jar.

val sparkVersion = "4.1.0"
val arrowVersion =
  "18.3.0" // that of Spark 4.1; also loads beside 18.1.0 (Spark 4.0) and 19.0.0 (Spark 4.2 and 4.3)
val hadoopVersion = "3.5.0" // that of Spark 4.3, on which the end-to-end tests run
val libtorchVersion = "2.13.0" // equal to scripts/versions.sh

ThisBuild / organization := "io.github.firesteel"
ThisBuild / version := "0.1.0"
ThisBuild / scalaVersion := "2.13.18"
ThisBuild / licenses := Seq("Apache-2.0" -> url("https://www.apache.org/licenses/LICENSE-2.0"))
ThisBuild / semanticdbEnabled := true // for scalafix
ThisBuild / semanticdbVersion := "4.14.2" // of the releases for this Scala version, the one that Scalafix 0.14 reads

// What Spark opens for itself on JDK 17 and later, see its JavaModuleOptions.
val sparkModuleOptions = Seq(
  "java.base/java.lang",
  "java.base/java.lang.invoke",
  "java.base/java.lang.reflect",
  "java.base/java.io",
  "java.base/java.net",
  "java.base/java.nio",
  "java.base/java.util",
  "java.base/java.util.concurrent",
  "java.base/java.util.concurrent.atomic",
  "java.base/jdk.internal.ref",
  "java.base/sun.nio.ch",
  "java.base/sun.nio.cs",
  "java.base/sun.security.action",
  "java.base/sun.util.calendar",
  "java.security.jgss/sun.security.krb5"
).flatMap(p => Seq("--add-opens", s"$p=ALL-UNNAMED"))

lazy val compilerSettings = Seq(
  scalacOptions ++= Seq(
    "-deprecation",
    "-feature",
    "-unchecked",
    "-release:17",
    "-encoding",
    "utf8",
    "-Xlint:_,-byname-implicit,-missing-interpolator",
    "-Wdead-code",
    "-Wextra-implicit",
    "-Wnumeric-widen",
    "-Wunused:_",
    "-Wvalue-discard",
    "-Werror"
  ),
  // The console is for trying things out, where unused imports are the rule.
  Compile / console / scalacOptions ~= (_.filterNot(_ == "-Werror")),
  Compile / doc / scalacOptions := Seq("-no-link-warnings"),
  javacOptions ++= Seq("-Xlint:all,-processing", "-Werror", "--release", "17"),
  Compile / doc / javacOptions := Seq("-Xdoclint:none", "-quiet")
)

def javaHasModuleOption(version: String): Boolean = version.takeWhile(_.isDigit).toInt >= 22

lazy val testSettings = Seq(
  Test / fork := true,
  Test / testForkedParallel := false,
  Test / parallelExecution := false,
  Test / baseDirectory := (ThisBuild / baseDirectory).value,
  Test / javaOptions ++= Seq(
    "-Xmx3g",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    // Without the second compiler it is 48 MB by default, which the suites together fill.
    "-XX:ReservedCodeCacheSize=256m",
    "-Xss4m",
    "-XX:+IgnoreUnrecognizedVMOptions"
  ) ++ sparkModuleOptions ++ Seq(
    "-Djdk.reflect.useDirectMethodHandle=false",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dspark.ui.enabled=false",
    "-Dspark.driver.host=localhost",
    "-Dlog4j2.configurationFile=" + (ThisBuild / baseDirectory).value / "scripts" / "log4j2-suites.properties",
    "-Dderby.system.home=" + ((ThisBuild / baseDirectory).value / "build" / "derby")
  ) ++ (if (javaHasModuleOption(sys.props("java.specification.version")))
          Seq("--enable-native-access=ALL-UNNAMED")
        else Nil),
  Test / envVars ++= {
    val root = (ThisBuild / baseDirectory).value
    Map(
      "LIBTORCH" -> sys.env.getOrElse("LIBTORCH", (root / "build" / "libtorch").getPath),
      "SPARK_LOCAL_IP" -> "127.0.0.1"
    ) ++ Seq("FIRESTEEL_NATIVE_DIR", "FIRESTEEL_PYTHON").flatMap(n => sys.env.get(n).map(n -> _))
  },
  // Names of slow tests and full stack traces of failed ones.
  Test / testOptions += Tests.Argument(TestFrameworks.ScalaTest, "-oDF")
)

lazy val scalatest = "org.scalatest" %% "scalatest" % "3.2.19" % Test

// The native library, the CUDA stubs, properties for the loader, license and notices.
lazy val nativeResources = Def.task {
  val root = (ThisBuild / baseDirectory).value
  val out = (Compile / resourceManaged).value / "firesteel"
  val log = streams.value.log
  val platform = out / "linux-x86_64"
  val release = file(sys.env.getOrElse("CARGO_TARGET_DIR", (root / "target").getPath)) / "release"

  val library = release / "libfiresteel.so"
  val libraries =
    if (library.exists) Seq(library -> platform / library.getName)
    else {
      log.warn(s"$library is missing: the jar will have no native library; run `make native` first")
      Nil
    }
  val stubs = (root / "build" / "stubs" ** "*.so.*").get.sortBy(_.getName)
  if (stubs.isEmpty) log.warn("build/stubs is missing; run `make setup` first")
  val legal = Seq("LICENSE", "NOTICE", "licenses/rust-crates.txt")
    .map(name => root / name -> out.getParentFile / "META-INF" / name)
  val copies = libraries ++ legal ++ stubs.map(s => s -> platform / "stubs" / s.getName)
  copies.foreach { case (from, to) =>
    if (!to.exists || Hash.toHex(Hash(from)) != Hash.toHex(Hash(to)))
      IO.copyFile(from, to, preserveLastModified = true)
  }

  val properties = out / "build.properties"
  val text =
    s"""version=${version.value}
       |scalaVersion=${scalaVersion.value}
       |sparkVersion=$sparkVersion
       |libtorchVersion=$libtorchVersion
       |""".stripMargin
  if (!properties.exists || IO.read(properties) != text) IO.write(properties, text)
  copies.map(_._2) :+ properties
}

lazy val firesteel = (project in file("spark-plugin"))
  .settings(compilerSettings, testSettings)
  .settings(
    name := "firesteel",
    description := "Deep learning on Apache Spark DataFrames with libtorch and a parameter server",
    libraryDependencies ++= Seq(
      "org.apache.spark" %% "spark-sql" % sparkVersion % Provided,
      "org.apache.spark" %% "spark-mllib" % sparkVersion % Provided,
      // Spark has Arrow's other jars. It must not be relocated: its native half binds by name.
      "org.apache.arrow" % "arrow-c-data" % arrowVersion excludeAll ExclusionRule(),
      scalatest
    ),
    libraryDependencies ++= Seq("core", "catalyst", "sql", "mllib").map { module =>
      "org.apache.spark" %% s"spark-$module" % sparkVersion % Test classifier "tests"
    },
    Compile / resourceGenerators += nativeResources.taskValue,
    assembly / assemblyOutputPath := (ThisBuild / baseDirectory).value / "build" / "firesteel.jar",
    assembly / test := {},
    assemblyPackageScala / assembleArtifact := false,
    assembly / assemblyMergeStrategy := {
      case "module-info.class" => MergeStrategy.discard
      case path if path.endsWith("/module-info.class") => MergeStrategy.discard
      case path =>
        val default = (assembly / assemblyMergeStrategy).value
        default(path)
    },
    // Sources only: the native libraries are generated resources.
    Compile / packageSrc / mappings := {
      val generated = (Compile / managedResources).value.toSet
      (Compile / packageSrc / mappings).value.filterNot { case (file, _) => generated(file) }
    },
    // The API (docs/api.md) is compared with the last release; until the first one there is nothing to compare with.
    mimaPreviousArtifacts := Set.empty,
    // Tests read the jar's own resources from the class path, so they need no jar.
    publish / skip := true
  )

// Programs that run on Spark with the plugin jar beside them.
def programs(id: String, folder: String, jar: String): Project =
  Project(id, file(folder))
    .dependsOn(firesteel % Provided)
    .settings(compilerSettings)
    .settings(
      name := s"firesteel-$id",
      libraryDependencies ++= Seq(
        "org.apache.spark" %% "spark-sql" % sparkVersion % Provided,
        "org.apache.spark" %% "spark-mllib" % sparkVersion % Provided
      ),
      Compile / packageBin / artifactPath := (ThisBuild / baseDirectory).value / "build" / jar,
      publish / skip := true
    )

lazy val examples = programs("examples", "examples", "firesteel-examples.jar")

// What the end-to-end tests submit.
lazy val e2e = programs("e2e", "tests/apps", "firesteel-e2e.jar")

val fetch = taskKey[Unit]("Copies the dependencies of a project into its folder lib")

// The servers of Hadoop, on which the end-to-end tests run YARN: a release of Spark has only the clients.
lazy val hadoop = (project in file("build/hadoop"))
  .settings(
    autoScalaLibrary := false,
    libraryDependencies ++= Seq(
      ("org.apache.hadoop" % "hadoop-client-minicluster" % hadoopVersion).intransitive(),
      "org.bouncycastle" % "bcpkix-jdk18on" % "1.82"
    ),
    fetch := {
      val folder = baseDirectory.value / "lib"
      IO.delete(folder)
      // Not those of the folder itself, which sbt takes for unmanaged ones.
      val jars = (Compile / managedClasspath).value.files
      IO.copy(jars.map(jar => jar -> folder / jar.getName))
    },
    publish / skip := true
  )

lazy val root = (project in file("."))
  .aggregate(firesteel, examples, e2e)
  .settings(publish / skip := true, Compile / sources := Nil, Test / sources := Nil)
