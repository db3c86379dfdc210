package firesteel.data

import org.json4s._
import org.json4s.jackson.JsonMethods.{compact, render}

/** The columns of an Arrow stream, in order: each input (one Arrow column if dense, two if sparse), each label, the
  * weight if there is one, the validation indicator if there is one. No column of the stream holds nulls. Its JSON is
  * the `DataSpec` of `native/core`.
  *
  * @param inputs
  *   the network's inputs
  * @param labels
  *   the labels; none in prediction
  * @param weight
  *   the user's column of row weights, if there is one
  * @param validation
  *   the rows that are held out for validation, if there are any
  * @param spread
  *   the distribution of rows over the tasks, which is not part of the `DataSpec`
  */
private[firesteel] final case class DataPlan(
    inputs: Seq[InputColumn],
    labels: Seq[LabelColumn] = Nil,
    weight: Option[String] = None,
    validation: Option[ValidationRows] = None,
    spread: SpreadRows = SpreadRows.Auto
) {

  /** The user's columns to read, each once, in the order of their first use. */
  def columns: Seq[String] =
    (inputs.flatMap(_.columns) ++ labels.map(_.column) ++ weight ++ indicator).distinct

  /** The user's column that marks the validation rows, if there is one. */
  def indicator: Option[String] = validation.flatMap(_.column)

  /** The `DataSpec` as a JSON value. */
  def json: JObject =
    JObject(
      "inputs" -> JArray(inputs.map(_.json).toList),
      "labels" -> JArray(labels.map(_.json).toList),
      "weight" -> weight.fold[JValue](JNull)(JString(_)),
      "validation" -> validation.fold[JValue](JNothing)(_.json)
    )

  /** The `DataSpec` as JSON text. */
  def toJson: String = compact(render(json))
}

/** The rows that are held out for validation. */
private[firesteel] sealed trait ValidationRows extends Serializable {

  /** The user's column that marks the rows, if there is one. */
  def column: Option[String]

  /** The `ValidationSpec` as a JSON value. */
  def json: JObject
}

private[firesteel] object ValidationRows {

  /** The rows that a boolean column marks.
    *
    * @param indicator
    *   the user's column
    */
  final case class Marked(indicator: String) extends ValidationRows {
    override def column: Option[String] = Some(indicator)
    override def json: JObject =
      JObject("type" -> JString("column"), "column" -> JString(indicator))
  }

  /** A share of all rows, chosen by their contents.
    *
    * @param fraction
    *   the share, between 0 and 1
    * @param seed
    *   the seed of the choice
    */
  final case class Fraction(fraction: Double, seed: Long) extends ValidationRows {
    override def column: Option[String] = None
    override def json: JObject =
      JObject(
        "type" -> JString("fraction"),
        "fraction" -> JDouble(fraction),
        "seed" -> JInt(BigInt(java.lang.Long.toUnsignedString(seed)))
      )
  }
}

/** One input of the network.
  *
  * @param name
  *   the name of the network's input
  * @param columns
  *   the user's columns: one vector, array or binary column, or any number of numeric columns that form one row of
  *   values
  * @param format
  *   the layout of the rows in the stream
  * @param element
  *   the type of the values in the stream; a sparse input is always `F32`
  * @param shape
  *   the shape of one row, such as `Seq(784)` or `Seq(1, 28, 28)`
  * @param scale
  *   the factor of each value on its way into an f32 tensor
  */
private[firesteel] final case class InputColumn(
    name: String,
    columns: Seq[String],
    format: InputFormat,
    element: ElementType,
    shape: Seq[Int],
    scale: Double
) {

  /** The number of values of a row. */
  def size: Int = shape.product

  /** The user's column or columns, for error messages. */
  def column: String = columns.mkString(", ")

  /** The `InputSpec` as a JSON value. */
  def json: JObject =
    JObject(
      "name" -> JString(name),
      "column" -> JString(column),
      "format" -> JString(format.name),
      "element" -> JString(element.name),
      "shape" -> JArray(shape.map(n => JInt(n)).toList),
      "scale" -> JDouble(scale)
    )
}

/** The layout of an input's rows in the stream. */
private[firesteel] sealed abstract class InputFormat(val name: String) extends Serializable

private[firesteel] object InputFormat {

  /** One Arrow column: a fixed-size list of `size` values. */
  case object Dense extends InputFormat("dense")

  /** Two Arrow columns, a list of ascending Int32 indices and a list of as many Float32 values. */
  case object Sparse extends InputFormat("sparse")
}

/** The type of an input's values in the stream.
  *
  * @param name
  *   its name in JSON
  * @param width
  *   the number of bytes of a value
  */
private[firesteel] sealed abstract class ElementType(val name: String, val width: Int)
    extends Serializable

private[firesteel] object ElementType {

  /** Unsigned bytes, such as the pixels of an image: the elements of a binary column. */
  case object U8 extends ElementType("u8", 1)

  /** Signed bytes, Spark's `tinyint`. */
  case object I8 extends ElementType("i8", 1)

  /** 16-bit integers, Spark's `smallint`. */
  case object I16 extends ElementType("i16", 2)

  /** 32-bit integers, such as token ids. */
  case object I32 extends ElementType("i32", 4)

  /** 64-bit integers. */
  case object I64 extends ElementType("i64", 8)

  /** 32-bit floats; doubles and decimals are narrowed to these. */
  case object F32 extends ElementType("f32", 4)
}

/** One label.
  *
  * @param column
  *   the user's column: numeric, or a vector or array column for several values
  * @param kind
  *   the meaning of its values
  */
private[firesteel] final case class LabelColumn(column: String, kind: LabelKind) {

  /** The `LabelSpec` as a JSON value. */
  def json: JObject = JObject("column" -> JString(column), "kind" -> kind.json)
}

/** The meaning of a label's values. */
private[firesteel] sealed trait LabelKind extends Serializable {

  /** The number of values of a row. */
  def size: Int

  /** The `LabelKind` as a JSON value. */
  def json: JObject
}

private[firesteel] object LabelKind {

  /** A class index from 0 until `classes`.
    *
    * @param classes
    *   the number of classes
    */
  final case class Class(classes: Int) extends LabelKind {
    override def size: Int = 1
    override def json: JObject = JObject("type" -> JString("class"), "classes" -> JInt(classes))
  }

  /** Regression targets.
    *
    * @param size
    *   the number of values of a row
    */
  final case class Values(size: Int) extends LabelKind {
    override def json: JObject = JObject("type" -> JString("values"), "size" -> JInt(size))
  }
}
