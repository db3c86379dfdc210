package firesteel.model

import java.io.FileNotFoundException
import java.nio.charset.StandardCharsets.UTF_8

import scala.util.control.NonFatal

import firesteel.data.{ElementType, InputColumn, InputFormat}
import firesteel.network.{Network, OutputInspection}
import firesteel.summary.TrainingSummary
import firesteel.util.HadoopFiles
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileSystem, Path}
import org.json4s.DefaultFormats
import org.json4s.jackson.{JsonMethods, Serialization}

/** The files of a saved model beside Spark's `metadata`: `network.json`, `weights.safetensors` and `model.json`, which
  * contains everything else and the hash of the weights.
  */
private[model] object ModelFiles {
  val Format = "firesteel.model/1"
  private val NetworkFile = "network.json"
  private val WeightsFile = "weights.safetensors"
  private val ModelFile = "model.json"

  private implicit val formats: DefaultFormats.type = DefaultFormats

  private final case class Input(name: String, shape: Seq[Int], format: String)

  private final case class Document(
      format: String,
      inputs: Seq[Input],
      outputs: Seq[OutputInspection],
      labels: Option[Seq[String]],
      weightsSha256: String,
      summary: TrainingSummary
  )

  /** Writes a model, `model.json` last: a folder without it is incomplete. */
  def write(
      fitted: FittedNetwork,
      labels: Option[Seq[String]],
      folder: String,
      conf: Configuration
  ): Unit = {
    val path = new Path(folder)
    val files = path.getFileSystem(conf)
    val document = Document(
      Format,
      fitted.inputs.map(input => Input(input.name, input.shape, input.format.name)),
      fitted.outputs,
      labels,
      fitted.weights.hash,
      fitted.summary
    )
    put(files, new Path(path, NetworkFile), fitted.network.toPrettyJson.getBytes(UTF_8))
    put(files, new Path(path, WeightsFile), fitted.bytes)
    put(files, new Path(path, ModelFile), Serialization.writePretty(document).getBytes(UTF_8))
  }

  /** Reads a model and the names of its classes.
    *
    * @throws java.io.FileNotFoundException
    *   naming the missing file
    * @throws java.lang.IllegalArgumentException
    *   naming the damaged file
    */
  def read(folder: String, conf: Configuration): (FittedNetwork, Option[Seq[String]]) = {
    val path = new Path(folder)
    val files = path.getFileSystem(conf)
    val document = intact(new Path(path, ModelFile)) { file =>
      val read =
        JsonMethods.parse(new String(HadoopFiles.read(files, file), UTF_8)).extract[Document]
      require(
        read.format == Format,
        s"its format is '${read.format}', but this version reads '$Format'"
      )
      require(read.outputs.nonEmpty, "it has no outputs")
      read
    }
    val network = intact(new Path(path, NetworkFile)) { file =>
      Network.fromJson(new String(HadoopFiles.read(files, file), UTF_8))
    }
    val inputs =
      document.inputs.map(input => intact(new Path(path, ModelFile))(_ => inputOf(input)))
    val fitted = intact(new Path(path, WeightsFile)) { file =>
      val read =
        new FittedNetwork(
          network,
          inputs,
          document.outputs,
          HadoopFiles.read(files, file),
          document.summary
        )
      require(
        read.weights.hash == document.weightsSha256,
        s"its SHA-256 is ${read.weights.hash}, but $ModelFile says ${document.weightsSha256}"
      )
      read
    }
    (fitted, document.labels)
  }

  private def inputOf(input: Input): InputColumn = {
    val format = Seq(InputFormat.Dense, InputFormat.Sparse)
      .find(_.name == input.format)
      .getOrElse(
        throw new IllegalArgumentException(s"an input has the unknown format '${input.format}'")
      )
    InputColumn(input.name, Nil, format, ElementType.F32, input.shape, 1.0)
  }

  private def intact[R](file: Path)(read: Path => R): R =
    try read(file)
    catch {
      case missing: FileNotFoundException =>
        val error = new FileNotFoundException(s"The saved model is incomplete: $file is missing.")
        error.initCause(missing)
        throw error
      case NonFatal(error) =>
        throw new IllegalArgumentException(
          s"The saved model is damaged: $file: ${error.getMessage}",
          error
        )
    }

  private def put(files: FileSystem, file: Path, bytes: Array[Byte]): Unit =
    HadoopFiles.write(files, file, bytes, overwrite = false)
}
