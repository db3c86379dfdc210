package firesteel.params

import org.apache.spark.ml.param.{BooleanParam, DoubleParam, Param, Params}
import org.json4s.JsonAST.{JDouble, JField, JObject, JString}

/** The compression of the workers' messages. The error of a message is added to the next one (error feedback). For all
  * strategies except those that send replicas: `single`, `averaging`, `ensemble` and `easgd`.
  */
private[firesteel] trait CompressionParams extends Params {

  /** The compression of the workers' commits: `none`; `bf16` and `f16`, half the bytes; `int8`, about a quarter;
    * `topk`, only the share `compressionRatio` of the largest values. Default: none.
    */
  final val compression: Param[String] = TextParam(
    this,
    "compression",
    s"compression of the workers' messages: ${Compression.names.mkString(", ")}; unless set, none",
    Validators.oneOf("compression", Compression.names)
  )

  /** The share of values that `topk` sends, above 0 and at most 1; each takes twice its bytes. Default: 0.01. */
  final val compressionRatio: DoubleParam = new DoubleParam(
    this,
    "compressionRatio",
    "the share of values that topk sends, above 0 and at most 1; unless set, 0.01",
    Validators.share("compressionRatio")
  )

  /** True to send the center variable to the workers in `bf16` or `f16`, too, as `compression` says. Not for the
    * elastic strategies. Default: false.
    */
  final val compressPull: BooleanParam = new BooleanParam(
    this,
    "compressPull",
    "true to send the center variable to the workers in bf16 or f16, too; unless set, false"
  )

  /** Returns the compression with its options, if there is one.
    *
    * @throws java.lang.IllegalArgumentException
    *   when an option is set that it does not have
    */
  private[params] final def compressionSpec: Option[JObject] = {
    val chosen = get(compression).getOrElse(Compression.Plain)
    require(
      !isSet(compressionRatio) || chosen == Compression.TopK,
      s"compressionRatio applies to the compression 'topk', not to '$chosen'; clear it"
    )
    require(
      !get(compressPull).contains(true) || Compression.halves.contains(chosen),
      s"compressPull needs the compression 'bf16' or 'f16', not '$chosen'"
    )
    val ratio = Option.when(chosen == Compression.TopK) {
      JField("ratio", JDouble(get(compressionRatio).getOrElse(Compression.DefaultRatio)))
    }
    Option.when(chosen != Compression.Plain) {
      JObject(JField("name", JString(chosen)) :: ratio.toList)
    }
  }
}

/** Setters of [[CompressionParams]], for estimators. */
private[firesteel] trait CompressionSetters extends CompressionParams {
  def setCompression(value: String): this.type = set(compression, value)
  def setCompressionRatio(value: Double): this.type = set(compressionRatio, value)
  def setCompressPull(value: Boolean): this.type = set(compressPull, value)
}

private[firesteel] object Compression {
  val Plain = "none"
  val TopK = "topk"
  val DefaultRatio = 0.01

  /** The compressions that are available for the center variable, too. */
  val halves: Seq[String] = Seq("bf16", "f16")

  val names: Seq[String] = Seq(Plain) ++ halves ++ Seq("int8", TopK)
}
